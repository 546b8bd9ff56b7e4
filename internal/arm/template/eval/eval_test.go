package eval_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

func testEnv() *eval.Env {
	vars := value.Of(
		value.Member{Name: "obj", Value: value.Of(value.Member{Name: "Abc", Value: int64(1)}, value.Member{Name: "list", Value: []value.Value{"x", nil}})},
		value.Member{Name: "text", Value: "héllo😀"},
	)
	return &eval.Env{
		Library: eval.NewLibrary(),
		Variables: func(name string) (value.Value, error) {
			v, ok := vars.Get(name)
			if !ok {
				return nil, eval.Errorf("no variable %s", name)
			}
			return v, nil
		},
		Scope: &eval.Scope{
			Kind: eval.ScopeGroup, SubscriptionID: "6d1f1c9e-6d5f-4d33-8c46-0a9f6a7b1c2d", ResourceGroup: "rg1", TenantID: "t",
			Group:     value.Of(value.Member{Name: "id", Value: "/subscriptions/6d1f1c9e-6d5f-4d33-8c46-0a9f6a7b1c2d/resourceGroups/rg1"}, value.Member{Name: "location", Value: "westeurope"}),
			Providers: func(ns, typ string) (value.Value, bool) { return ns + "|" + typ, ns == "A.B" },
		},
		Loop: &eval.Loop{Name: "inner", Index: 2, ByName: true, Outer: &eval.Loop{Name: "outer", Index: 5}},
	}
}

const base = "/subscriptions/6d1f1c9e-6d5f-4d33-8c46-0a9f6a7b1c2d/resourceGroups/rg1"

func TestFunctions(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		// arrays and collections
		`array(1)`: `[1]`, `array(createArray(1))`: `[1]`, `createArray()`: `[]`, `concat('a', 1, true())`: `"a1True"`,
		`concat(createArray(1), createArray('b'))`: `[1,"b"]`, `contains(createArray('FOO'), 'foo')`: `false`, `contains(createArray('1'), 1)`: `false`,
		`contains(variables('obj'), 'ABC')`: `true`, `contains('Hello', 'h')`: `false`, `empty(null())`: `true`, `empty(createObject())`: `true`,
		`first(variables('text'))`: `"h"`, `last(createArray())`: `null`, `first('')`: `""`, `length(variables('text'))`: `7`, `length(variables('obj'))`: `2`,
		`flatten(createArray(createArray(1), createArray(), createArray(createArray(2))))`: `[1,[2]]`,
		`indexOf(variables('text'), 'LLO')`:                                                `2`, `lastIndexOf('abcabc', 'B')`: `4`, `indexOf('', '')`: `0`, `lastIndexOf('abcdef', '')`: `5`,
		`lastIndexOf(createArray(1, 2, 1), 1)`: `2`, `indexOf(createArray(createObject('a', 1)), createObject('a', 1))`: `0`,
		`intersection(createArray(3, 1, 2, 1), createArray(1, 3), createArray(1, 3, 5))`:                                                    `[3,1]`,
		`intersection(createObject('a', 1, 'b', 2), createObject('b', 2, 'a', '1'))`:                                                        `{"b":2}`,
		`union(createArray(1, 2), createArray(2, 3), null())`:                                                                               `[1,2,3]`,
		`union(createObject('a', createObject('x', 1, 'l', createArray(1))), createObject('A', createObject('y', 2, 'l', createArray(2))))`: `{"a":{"x":1,"l":[2],"y":2}}`,
		`union(createArray(createArray(createObject('a', 1, 'b', 2))), createArray(createArray(createObject('b', 2, 'a', 1))))`:             `[[{"a":1,"b":2}]]`,
		`distinct(createArray(1, '1', 1, createObject('a', 1, 'b', 2), createObject('b', 2, 'a', 1)))`:                                      `[1,"1",{"a":1,"b":2}]`,
		`range(-2, 3)`: `[-2,-1,0]`, `skip(createArray(1, 2, 3), -1)`: `[1,2,3]`, `skip('abc', 9)`: `""`, `take('abc', 2)`: `"ab"`, `take(createArray(1), 9)`: `[1]`,
		`min(3, '2', 4)`: `2`, `max(createArray(1, 5, 2))`: `5`, `join(createArray('a', 1, false(), null()), '-')`: `"a-1-False-"`,
		`indexFromEnd(createArray(1, 2), 1)`: `2`, `tryIndexFromEnd(createArray(1), 2)`: `null`,
		`tryGet(variables('obj'), 'list', 0)`: `"x"`, `tryGet(variables('obj'), 'list', 9, 'a')`: `null`, `tryGet(null(), 'a')`: `null`,
		// comparison and logic
		`equals(createObject('a', 1, 'b', 2), createObject('b', 2, 'a', 1))`: `true`, `equals(1, '1')`: `false`, `greater('A', 'a')`: `true`, `less('a10', 'ab')`: `true`,
		`lessOrEquals(2, 2)`: `true`, `coalesce(null(), '', fail('not reached'))`: `""`, `and(false(), fail('not reached'))`: `false`, `or(true(), fail('x'))`: `true`,
		`if(true(), 1, fail('x'))`: `1`, `if(false(), fail('x'), 2)`: `2`, `bool('TRUE')`: `true`, `bool(0)`: `false`, `not(false())`: `true`,
		// numbers
		`add(9223372036854775806, 1)`: `9223372036854775807`, `sub('5', 7)`: `-2`, `div(-7, 2)`: `-3`, `mod(-7, 2)`: `-1`, `int('-12')`: `-12`, `float('1.5')`: `1.5`, `float(2)`: `2.0`,
		`copyIndex()`: `5`, `copyIndex(3)`: `8`, `copyIndex('INNER')`: `2`, `copyIndex('outer', -1)`: `4`,
		// objects
		`createObject('a', null())`: `{"a":null}`, `json('{"a": [1.0, 2]}')`: `{"a":[1.0,2]}`, `json('[1]')[0]`: `1`, `items(createObject('b', 1, 'B', 2, 'a', 3))[2]`: `{"key":"B","value":2}`,
		`objectKeys(createObject('b', 1, 'a', 2))`: `["a","b"]`, `shallowMerge(createArray(createObject('a', createObject('x', 1)), createObject('a', createObject('y', 1))))`: `{"a":{"y":1}}`,
		`variables('OBJ').LIST[0]`: `"x"`, `variables('obj')['abc']`: `1`,
		// strings
		`base64('é')`: `"w6k="`, `base64ToString('w6k=')`: `"é"`, `base64ToJson(base64('{"a":1}')).a`: `1`, `startsWith('ABC', 'ab')`: `true`, `endsWith('abc', '')`: `true`,
		`padLeft(7, 3, '0')`: `"007"`, `like('aXaYa', 'a*a')`: `true`, `like('a', 'a*a')`: `false`, `like('', '***')`: `true`, `like('ABCDEF', 'a*c*')`: `true`, `like('abc', 'ab')`: `false`, `like('abcb', '*b*b')`: `true`, `padLeft('abcd', 2)`: `"abcd"`, `replace('aXaX', 'aX', 'b')`: `"bb"`, `split('a;b,c', createArray(';', ','))`: `["a","b","c"]`, `split('a', '')`: `["a"]`,
		`string(createObject('a', 'b'))`: `"{\"a\":\"b\"}"`, `string(true())`: `"True"`, `string(null())`: `""`, `substring(variables('text'), 1, 2)`: `"él"`, `substring('abc', 3)`: `""`,
		`toUpper('straßé ı')`: `"STRAßÉ ı"`, "trim('\u00a0 a\t')": `"a"`, `uriComponent('a b/é~')`: `"a%20b%2F%C3%A9~"`, `uriComponentToString('%C3%A9%zz')`: `"é%zz"`,
		`dataUri(createArray(1))`: `"data:application/json;charset=utf-8;base64,WzFd"`, `dataUriToString(dataUri('é'))`: `"é"`, `dataUriToString('data:text/plain;charset=iso-8859-1,%E9')`: `"é"`,
		`uri('https://a.example/b/c', '../d?e=1')`: `"https://a.example/d?e=1"`, `uri('http://a.example', '')`: `"http://a.example/"`,
		`parseUri('https://h.example:8443/p%20q?x=1')`:                                           `{"scheme":"https","host":"h.example","port":8443,"path":"/p%20q","query":"?x=1"}`,
		`buildUri(parseUri('https://h.example:8443/p%20q?x=1'))`:                                 `"https://h.example:8443/p%20q?x=1"`,
		`buildUri(createObject('scheme', 'http', 'host', 'h.example', 'port', 80, 'path', 'p'))`: `"http://h.example/p"`,
		`guid('asdf')`: `"228d27cc-6fdb-5934-b7ac-1efccebade04"`, `uniqueString('hello', 'world')`: `"a7wkljktk6wne"`, `uniqueString('')`: `"aaaaaaaaaaaaa"`, `uniqueString('tyeth')`: `"zcztcwvu6iyg6"`,
		// format
		`format('{0}-{1}', createObject('a', 'b'), createArray(1, true()))`: `"{'a':'b'}-[1,true]"`, `format('{{{0}}}', 1)`: `"{1}"`, `format('{0,5}|{0,-5}|', 'ab')`: `"   ab|ab   |"`,
		`format('{0:D3} {0:X} {0:N0} {0:F2} {0:P0} {0:E2} {0:G}', 1234)`: `"1234 4D2 1,234 1234.00 123,400 % 1.23E+003 1234"`, `format('{0:000000} {0:#,##0.00} {0:0.#}', 1234)`: `"001234 1,234.00 1234"`,
		`format('{0:D5} {0:X2}', -12)`: `"-00012 FFFFFFFFFFFFFFF4"`, `format('{0:N1}', json('1234.56'))`: `"1,234.6"`, `format('x')`: `"x"`, `format('{0}', null())`: `""`,
		`format('{0:00-00}', 1234)`: `"12-34"`, `format('{0:(000) 000-0000}', 5551234567)`: `"(555) 123-4567"`, `format('{0:kg}', 5)`: `"kg"`, `format('{0:0 ''kg;0''}', 5)`: `"5 kg;0"`,
		`format('{0:#,##0,}', 1234567)`: `"1,235"`, `format('{0:0,0.0}', 1234)`: `"1,234.0"`, `format('{0:.00}', 12)`: `"12.00"`, `format('{0:0.00E+00}', 12345)`: `"1.23E+04"`, `format('{0:#e0}', json('0.0005'))`: `"5e-4"`,
		`format('{0:0.0;(0.0);none}', -5)`: `"(5.0)"`, `format('{0:0.0;(0.0);none}', json('0.01'))`: `"none"`, `format('{0:#}', 0)`: `""`, `format('{0:0\#0}', 12)`: `"1#2"`, `format('{0:0%}|{0:0‰}', json('0.125'))`: `"13%|125‰"`,
		`format('{0:0,000}', 12)`: `"0,012"`, `format('{0:0.#}', -0)`: `"0"`, `format('{0:00.00}', -7)`: `"-07.00"`, `format('{0:0.00E+00}', json('9.999'))`: `"1.00E+01"`,
		`groupBy(createArray('a', 'A', 'a'), lambda('x', lambdaVariables('x')))`: `{"a":["a","a"],"A":["A"]}`,
		`uri('HTTPS://A.Example/B', '?q')`:                                       `"https://a.example/B?q"`, `parseUri('HTTP://H.Example:80')`: `{"scheme":"http","host":"h.example","path":"/"}`,
		// dates
		`dateTimeAdd('2023-01-31 00:00:00Z', 'P1M')`: `"2023-03-02T00:00:00Z"`, `dateTimeAdd('2024-01-01T00:00:00Z', 'P1Y')`: `"2024-12-31T00:00:00Z"`,
		`dateTimeAdd('2020-04-07 14:53:14Z', '-P9DT1H', 'yyyy-MM-dd HH:mm')`: `"2020-03-29 13:53"`, `dateTimeAdd('2020-04-07T14:53:14Z', 'PT0.5S', 'o')`: `"2020-04-07T14:53:14.5000000Z"`,
		`dateTimeAdd('2020-04-07T14:03:04Z', 'PT0S', 'dddd, d MMM yy h:m:s tt')`: `"Tuesday, 7 Apr 20 2:3:4 PM"`, `dateTimeFromEpoch(0)`: `"1970-01-01T00:00:00Z"`, `dateTimeToEpoch('1970-01-01T01:00:00+01:00')`: `0`,
		// lambdas
		`map(createArray('a', 'b'), lambda('x', 'i', concat(lambdaVariables('X'), lambdaVariables('i'))))`:                                                                   `["a0","b1"]`,
		`map(createArray(1, 2), lambda('x', map(createArray(10), lambda('y', add(lambdaVariables('x'), lambdaVariables('y'))))))`:                                            `[[11],[12]]`,
		`filter(createArray(1, 2, 3), lambda('x', 'i', greater(lambdaVariables('i'), 0)))`:                                                                                   `[2,3]`,
		`reduce(createArray(1, 2, 3), 0, lambda('a', 'b', 'i', add(lambdaVariables('a'), mul(lambdaVariables('b'), lambdaVariables('i')))))`:                                 `8`,
		`sort(createArray(createArray(2, 'a'), createArray(1, 'b'), createArray(2, 'c')), lambda('x', 'y', lessOrEquals(lambdaVariables('x')[0], lambdaVariables('y')[0])))`: `[[1,"b"],[2,"a"],[2,"c"]]`,
		`toObject(createArray('a', 'b'), lambda('x', lambdaVariables('x')), lambda('x', length(lambdaVariables('x'))))`:                                                      `{"a":1,"b":1}`,
		`groupBy(createArray('a', 'bb', 'c'), lambda('x', string(length(lambdaVariables('x')))))`:                                                                            `{"1":["a","c"],"2":["bb"]}`,
		`mapValues(createObject('a', 1), lambda('v', add(lambdaVariables('v'), 1)))`:                                                                                         `{"a":2}`,
		// networks
		`parseCidr('192.168.5.77/24')`:       `{"network":"192.168.5.0","netmask":"255.255.255.0","broadcast":"192.168.5.255","firstUsable":"192.168.5.1","lastUsable":"192.168.5.254","cidr":24}`,
		`cidrSubnet('10.0.0.0/16', 24, 300)`: `"10.1.44.0/24"`, `cidrSubnet('2001:db8::/32', 48, 65535)`: `"2001:db8:ffff::/48"`, `cidrHost('10.0.0.0/24', 253)`: `"10.0.0.254"`,
		`providers('A.B')`: `"A.B|"`, `providers('A.B', 'c')`: `"A.B|c"`, `pickZones('A.B', 'c', 'westeurope', 2)`: `[]`,
		// scope
		`resourceGroup().LOCATION`: `"westeurope"`, `resourceId('A.B/c', 'n')`: `"` + base + `/providers/A.B/c/n"`,
		`resourceId('other', 'A.B/c/d', 'n', 'm')`:                              `"/subscriptions/6d1f1c9e-6d5f-4d33-8c46-0a9f6a7b1c2d/resourceGroups/other/providers/A.B/c/n/d/m"`,
		`resourceId('11111111-2222-3333-4444-555555555555', 'g', 'A.B/c', 'n')`: `"/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/g/providers/A.B/c/n"`,
		`subscriptionResourceId('A.B/c', 'n')`:                                  `"/subscriptions/6d1f1c9e-6d5f-4d33-8c46-0a9f6a7b1c2d/providers/A.B/c/n"`,
		`tenantResourceId('A.B/c', 'n')`:                                        `"/providers/A.B/c/n"`,
		`managementGroupResourceId('mg', 'A.B/c', 'n')`:                         `"/providers/Microsoft.Management/managementGroups/mg/providers/A.B/c/n"`,
		`extensionResourceId(resourceId('A.B/c', 'n'), 'D.E/f', 'm')`:           `"` + base + `/providers/A.B/c/n/providers/D.E/f/m"`,
	} {
		v, err := testEnv().Text("[" + in + "]")
		if err != nil {
			t.Errorf("%s: %v", in, err)
		} else if got := value.JSON(v); got != want {
			t.Errorf("%s\n got    %s\n wanted %s", in, got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`nope()`:                        "The template function 'nope' is not valid. Please see https://aka.ms/arm-functions for usage details.",
		`list*('a')`:                    "The language expression 'list*('a')' is not valid: the string character '*' at position '4' is not expected.",
		`a.b()`:                         "The template function 'a.b' is not valid. Please see https://aka.ms/arm-functions for usage details.",
		`first()`:                       "Unable to evaluate template language function 'first': function requires 1 argument(s) while 0 were provided. Please see https://aka.ms/arm-resource-functions/#first for usage details.",
		`toObject(array(1))`:            "Unable to evaluate template language function 'toObject': function requires between 2 and 3 argument(s) while 1 were provided. Please see https://aka.ms/arm-resource-functions/#toObject for usage details.",
		`concat()`:                      "Unable to evaluate template language function 'concat'. At least one parameter should be provided. Please see https://aka.ms/arm-resource-functions/#concat for usage details.",
		`concat(array(1), 2)`:           "The provided parameters for language function 'concat' are invalid. Either all or none of the parameters must be an array. Please see https://aka.ms/arm-resource-functions/#concat for usage details.",
		`variables('obj').no`:           "The language expression property 'no' doesn't exist, available properties are 'Abc, list'.",
		`null().no`:                     "The language expression property 'no' can't be evaluated.",
		`createArray(1)[1]`:             "The language expression property array index '1' is out of bounds.",
		`mul(4611686018427387904, 2)`:   "The template language function 'mul' overflowed with the operants '4611686018427387904' and '2'. Please see https://aka.ms/arm-functions for usage details.",
		`div(1, 0)`:                     "The template language function 'div' cannot be evaluated: Attempted to divide by zero. Please see https://aka.ms/arm-resource-functions/#div for usage details.",
		`div(-9223372036854775808, -1)`: "The template language function 'div' overflowed with the operants '-9223372036854775808' and '-1'. Please see https://aka.ms/arm-functions for usage details.",
		`int('x')`:                      "The template language function 'int' cannot convert provided value 'x' to integer value. Please see https://aka.ms/arm-resource-functions/#int for usage details.",
		`bool('yes')`:                   "The template language function 'bool' was invoked with a parameter that is not valid. The value cannot be converted to the target type. Please see https://aka.ms/arm-resource-functions/#bool for usage details.",
		`endsWith(1, array(1))`:         "The template language function 'endsWith' expects its parameters to be of type string and string. The provided value is of type 'Integer' and 'Array'. Please see https://aka.ms/arm-resource-functions/#endsWith for usage details.",
		`padLeft('a', 17)`:              "Unable to evaluate template language function 'padLeft': the second parameter is invalid. Total width must be a positive integer value and not greater than '16', while '17' was provided. The syntax is padLeft(string, totalWidth [, paddingChar]). Please see https://aka.ms/arm-resource-functions/#padleft for usage details.",
		`json('{"k": secret')`:          "The template language function 'json' parameter is not valid. The provided value cannot be parsed: 'Unexpected character encountered while parsing value: s. Path 'k', line 1, position 12.'. Please see https://aka.ms/arm-resource-functions/#json for usage details.",
		`toLogicalZones(subscription().subscriptionId, 1, createArray())`: "The template function 'subscription' is not expected at this location. Please see https://aka.ms/arm-functions for usage details.",
		`toLogicalZone('s', 1, 'z')`:                                      "The template language function 'toLogicalZone' expects its second parameter to be of type 'String'. The provided value is of type 'Integer'. Please see https://aka.ms/arm-resource-functions/#toLogicalZone for usage details.",
		`toPhysicalZone('s', 'westeurope', '1')`:                          "The template language function 'toPhysicalZone' is not supported: the location 'westeurope' has no availability zones. Please see https://aka.ms/arm-resource-functions/#toPhysicalZone for usage details.",
		`externalInputs('x')`:                                             "The template function 'externalInputs' is not expected at this location. Please see https://aka.ms/arm-functions for usage details.",
		`newGuid()`:                                                       "The template function 'newGuid' is not expected at this location. Please see https://aka.ms/arm-functions for usage details.",
		`reference('x')`:                                                  "The template function 'reference' is not expected at this location. Please see https://aka.ms/arm-functions for usage details.",
		`listKeys('x')`:                                                   "The template function 'listKeys' is not expected at this location. Please see https://aka.ms/arm-functions for usage details.",
		`copyIndex('other')`:                                              "The template function 'copyIndex' is not expected at this location. There is no copy loop named 'other' around it. Please see https://aka.ms/arm-copy for usage details.",
		`lambda('x', 1)`:                                                  "The template function 'lambda' is not expected at this location. Please see https://aka.ms/arm-functions for usage details.",
		`map(array(1), 2)`:                                                "The template language function 'map' expects its second parameter to be a lambda. Please see https://aka.ms/arm-resource-functions/#map for usage details.",
		`fail('stop here')`:                                               "stop here",
		`resourceId('A.B/c/d', 'n')`:                                      "Unable to evaluate template language function 'resourceId': the type 'A.B/c/d' requires '2' resource name argument(s). Please see https://aka.ms/arm-resource-functions/#resourceId for usage details.",
		`resourceId('sub', 'g', 'A.B/c', 'n')`:                            "The provided value 'sub' is not valid subscription identifier. Please see https://aka.ms/arm-resource-functions/#resourceId for usage details.",
		`providers('No.Such', 'c')`:                                       "Unable to evaluate template language function 'providers': the resource type 'No.Such/c' is not known. Please see https://aka.ms/arm-resource-functions/#providers for usage details.",
		`subscription()`:                                                  "The template function 'subscription' is not expected at this location. Please see https://aka.ms/arm-functions for usage details.",
		`format('{0')`:                                                    "Unable to evaluate language function 'format': the format is invalid: 'Input string was not in a correct format.'. Please see https://aka.ms/arm-resource-functions/#format for usage details.",
		`format('{1}', 1)`:                                                "Unable to evaluate language function 'format': the format is invalid: 'Index (zero based) must be greater than or equal to zero and less than the size of the argument list.'. Please see https://aka.ms/arm-resource-functions/#format for usage details.",
		`dataUriToString('data:;foo=bar;base64,R0lG')`:                    "The template language function 'dataUriToString' expects its parameter to be formatted as a valid data URI. The provided value 'data:;foo=bar;base64,R0lG' was not formatted correctly. Please see https://aka.ms/arm-resource-functions/#dataUriToString for usage details.",
		`range(0, 10001)`:                                                 "The template language function 'range' expects its second parameter to be a number of items from 0 to 10000. The provided value is '10001'. Please see https://aka.ms/arm-resource-functions/#range for usage details.",
	} {
		v, err := testEnv().Text("[" + in + "]")
		if err == nil {
			t.Errorf("%s gives %s", in, value.JSON(v))
		} else if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("%s: %s", in, diff)
		}
	}
}

func TestTemplateHash(t *testing.T) {
	t.Parallel()
	v, err := value.FromJSON([]byte(`{"a":"é","b":[1,true]}`))
	if err != nil {
		t.Fatal(err)
	}
	hash, minified := eval.TemplateHash(v)
	if minified != `{"A":"É","B":[1,TRUE]}` || strings.Trim(hash, "0123456789") != "" {
		t.Errorf("%s %s", hash, minified)
	}
}

func TestFreshFunctions(t *testing.T) {
	t.Parallel()
	env := testEnv()
	env.Fresh = &eval.Fresh{Now: time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC), NewGUID: func() string { return "g" }}
	for in, want := range map[string]string{`utcNow()`: "20240203T040506Z", `utcNow('u')`: "2024-02-03 04:05:06Z", `utcNow('d')`: "02/03/2024", `utcNow('M d')`: "2 3", `newGuid()`: "g", `utcNow('yyyy''T''\HH')`: "2024TH4"} {
		if v, err := env.Text("[" + in + "]"); err != nil || v != want {
			t.Errorf("%s: %v %v, wanted %s", in, v, err, want)
		}
	}
}

func TestNode(t *testing.T) {
	t.Parallel()
	n, err := relaxed.Parse([]byte(`{"[concat('a', 'b')]": ["[[x]", "[add(1, 1)]", 3], "c": {"d": "plain"}}`))
	if err != nil {
		t.Fatal(err)
	}
	v, err := testEnv().Node(n)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"ab":["[x]",2,3],"c":{"d":"plain"}}`, value.JSON(v)); diff != "" {
		t.Error(diff)
	}
}

type later struct{}

func (later) Reference(target, _ string, _ bool) (value.Value, error) {
	return nil, &eval.Deferred{Function: "reference", Target: target}
}
func (later) References(loop string, _ bool) (value.Value, error) {
	return nil, &eval.Deferred{Function: "references", Target: loop}
}
func (later) List(f, target, _ string, _ value.Value) (value.Value, error) {
	return nil, &eval.Deferred{Function: f, Target: target}
}

// What only a running deployment knows stays an expression; the rest of it is evaluated.
func TestPartial(t *testing.T) {
	t.Parallel()
	env := testEnv()
	env.Runtime = later{}
	if _, err := env.Text("[reference('x').a]"); !errors.As(err, new(*eval.Deferred)) {
		t.Fatal(err)
	}
	env.Partial = true
	for in, want := range map[string]string{
		`[concat(toUpper('a'), reference(concat('x', 'y')).z)]`:          `[concat('A', reference('xy').z)]`,
		`[if(true(), listKeys('x', '1'), variables('obj'))]`:             `[listKeys('x', '1')]`,
		`[union(variables('obj'), reference('x'))]`:                      `[union(json('{"Abc":1,"list":["x",null]}'), reference('x'))]`,
		`[createArray(true(), null(), reference('x')['a b'][add(1,1)])]`: `[true,null,'[reference(\'x\')[\'a b\'][2]]']`,
		`[add(1, 2)]`: `3`,
	} {
		v, err := env.Text(in)
		if err != nil || eval.Render(v) != want {
			t.Errorf("%s: %v %v, wanted %s", in, v, err, want)
		}
	}
	if env.Unresolved != 4 {
		t.Error(env.Unresolved)
	}
}

func TestDeterministic(t *testing.T) {
	t.Parallel()
	names := append(eval.NewLibrary().Names(), "union", "createArray", "createObject", "string", "json", "items") // what makes arguments comes more often
	names = slices.DeleteFunc(names, func(n string) bool { return n == "list*" })
	rapid.Check(t, func(t *rapid.T) {
		in := "[" + drawCall(t, names, 3) + "]"
		a, errA := testEnv().Text(in)
		b, errB := testEnv().Text(in)
		if (errA == nil) != (errB == nil) || errA != nil && errA.Error() != errB.Error() || errA == nil && !value.Equal(a, b) {
			t.Fatalf("%s: %v %v, then %v %v", in, a, errA, b, errB)
		}
	})
}

func drawCall(t *rapid.T, names []string, depth int) string {
	if depth == 0 {
		return rapid.SampledFrom([]string{"'a'", "'A{0}'", "1", "-7", "true()", "null()", "createArray()", "createObject()"}).Draw(t, "leaf")
	}
	args := make([]string, rapid.IntRange(0, 3).Draw(t, "n"))
	for i := range args {
		args[i] = drawCall(t, names, depth-1)
	}
	return rapid.SampledFrom(names).Draw(t, "name") + "(" + strings.Join(args, ", ") + ")"
}

func FuzzEval(f *testing.F) {
	for _, s := range []string{
		`concat('a', 1)`, `format('{0:N2}|{1,5}', 12345, 'x')`, `split('a,b', ',')[1]`, `map(range(0, 3), lambda('i', lambdaVariables('i')))`, `padLeft(1, 5, '0')`,
		`dateTimeAdd('2020-01-01', 'P1D', 'yyyy')`, `cidrSubnet('10.0.0.0/8', 16, 3)`, `json('{"a":[1]}').a[0]`, `uri('http://a', 'b')`, `substring('abc', 1, 1)`, `resourceId('a/b', 'c')`,
		`dataUriToString('data:text/plain;charset=utf-16,%00')`, `format('{0:#,##0.0#;(0);z}', -5)`, `parseUri('http://[::1]:80/')`, `copyIndex('inner', 1)`, `int('9')`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 200 { // bounds what one call can build
			return
		}
		v, err := testEnv().Text("[" + s + "]")
		if err == nil {
			_ = value.JSON(v)
		}
	})
}

func BenchmarkText(b *testing.B) {
	env := testEnv()
	for b.Loop() {
		if _, err := env.Text("[concat('kusto', uniqueString(resourceGroup().id), '-', copyIndex())]"); err != nil {
			b.Fatal(err)
		}
	}
}
