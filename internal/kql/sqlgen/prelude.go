package sqlgen

// Prelude lists the statements that install the macros the DuckDB dialect uses. Each may run again.
func Prelude() []string {
	out := make([]string, len(macros))
	for i, m := range macros {
		out[i] = "CREATE OR REPLACE MACRO " + m
	}
	return out
}

// macros are ordered so that each uses only earlier ones. Names start with kq_ so that no engine function is hidden.
var macros = [...]string{
	// Numbers.
	`kq_mod(a, b) AS CASE WHEN a % b < 0 THEN a % b + abs(b) ELSE a % b END`,
	`kq_bin(x, n) AS CASE WHEN n > 0 THEN x - kq_mod(x, n) END`,
	`kq_bin_real(x, n) AS CASE WHEN n > 0 THEN floor(x / n) * n END`,
	`kq_bin_at(x, n, f) AS CASE WHEN n > 0 THEN x - kq_mod(x - f, n) END`,
	`kq_bin_at_real(x, n, f) AS CASE WHEN n > 0 THEN f + floor((x - f) / n) * n END`,

	`kq_far(a, s) AS CAST(a AS HUGEINT) + CAST(s AS HUGEINT) * 1048575`,
	`kq_series(a, b, s) AS CASE WHEN s > 0 THEN generate_series(a, CAST(least(CAST(b AS HUGEINT), kq_far(a, s)) AS BIGINT), s) WHEN s < 0 THEN generate_series(a, CAST(greatest(CAST(b AS HUGEINT), kq_far(a, s)) AS BIGINT), s) END`,

	// Ticks and calendar.
	`kq_range(t) AS CASE WHEN t BETWEEN 0 AND 3155378975999999999 THEN t END`,
	`kq_time(t) AS make_timestamp(t // 10 - 62135596800000000)`,
	`kq_ticks(ts) AS (epoch_us(ts) + 62135596800000000) * 10`,
	`kq_startofday(t, n) AS kq_range(t - t % 864000000000 + n * 864000000000)`,
	`kq_startofweek(t, n) AS kq_range(t - t % 864000000000 - ((t // 864000000000 + 1) % 7) * 864000000000 + n * 6048000000000)`,
	`kq_startofmonth(t, n) AS kq_range(kq_ticks(date_trunc('month', kq_time(t)) + to_months(CAST(n AS INTEGER))))`,
	`kq_startofyear(t, n) AS kq_range(kq_ticks(date_trunc('year', kq_time(t)) + to_months(CAST(n * 12 AS INTEGER))))`,
	`kq_addmonths(t, n) AS kq_range(kq_ticks(kq_time(t) + to_months(CAST(n AS INTEGER))) + t % 10)`,
	`kq_day(y, m, d) AS CASE WHEN y BETWEEN 1 AND 9999 AND m BETWEEN 1 AND 12 AND d BETWEEN 1 AND 31 THEN TRY_CAST(lpad(CAST(y AS VARCHAR), 4, '0') || '-' || CAST(m AS VARCHAR) || '-' || CAST(d AS VARCHAR) AS TIMESTAMP) END`,
	`kq_minutes(h, m) AS CASE WHEN h BETWEEN 0 AND 23 AND m BETWEEN 0 AND 59 THEN h * 36000000000 + m * 600000000 END`,
	`kq_pad(n, w) AS lpad(CAST(n AS VARCHAR), w, '0')`,

	// Text of values.
	`kq_exponent(s) AS CASE WHEN contains(s, 'e') THEN upper(s) ELSE regexp_replace(regexp_replace(replace(s, '.0', ''), '^(-?[0-9])([0-9]{15})$', '\1.\2E+15'), '[.]?0*E', 'E') END`,
	`kq_real_text(x) AS CASE WHEN x IS NULL THEN '' WHEN isnan(x) THEN 'NaN' WHEN isinf(x) THEN CASE WHEN x > 0 THEN 'Infinity' ELSE '-Infinity' END WHEN x = 0 THEN '0' WHEN abs(x) >= 1e15 OR abs(x) < 1e-4 THEN kq_exponent(CAST(x AS VARCHAR)) ELSE regexp_replace(CAST(x AS VARCHAR), '[.]0$', '') END`,
	`kq_real_json(x) AS CASE WHEN isnan(x) THEN '"NaN"' WHEN isinf(x) THEN CASE WHEN x > 0 THEN '"Infinity"' ELSE '"-Infinity"' END ELSE CAST(to_json(x) AS VARCHAR) END`,
	`kq_decimal_text(x) AS CASE WHEN x IS NULL THEN '' ELSE regexp_replace(regexp_replace(CAST(x AS VARCHAR), '0+$', ''), '[.]$', '') END`,
	`kq_datetime_text(t) AS CASE WHEN t IS NULL THEN '' ELSE strftime(kq_time(t), '%Y-%m-%dT%H:%M:%S') || '.' || kq_pad(t % 10000000, 7) || 'Z' END`,
	`kq_timespan_text(t) AS CASE WHEN t IS NULL THEN '' ELSE CASE WHEN t < 0 THEN '-' ELSE '' END || CASE WHEN abs(t) >= 864000000000 THEN CAST(abs(t) // 864000000000 AS VARCHAR) || '.' ELSE '' END || kq_pad(abs(t) // 36000000000 % 24, 2) || ':' || kq_pad(abs(t) // 600000000 % 60, 2) || ':' || kq_pad(abs(t) // 10000000 % 60, 2) || CASE WHEN abs(t) % 10000000 > 0 THEN '.' || kq_pad(abs(t) % 10000000, 7) ELSE '' END END`,
	`kq_dynamic_text(j) AS coalesce(json_extract_string(j, '$'), '')`,

	// Values from text.
	`kq_text_bool(s) AS CASE lower(trim(s)) WHEN 'true' THEN true WHEN 'false' THEN false WHEN '1' THEN true WHEN '0' THEN false END`,
	`kq_text_long(s) AS CASE WHEN regexp_full_match(trim(s), '[+-]?[0-9]+') THEN TRY_CAST(trim(s) AS BIGINT) END`,
	`kq_text_real(s) AS CASE WHEN regexp_full_match(trim(s), '[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?') THEN TRY_CAST(trim(s) AS DOUBLE) WHEN lower(trim(s)) = 'nan' THEN CAST('nan' AS DOUBLE) END`,
	`kq_text_decimal(s) AS CASE WHEN regexp_full_match(trim(s), '[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)') THEN TRY_CAST(trim(s) AS DECIMAL(38,18)) END`,
	`kq_text_guid(s) AS CASE WHEN regexp_full_match(trim(s), '[{]?[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}[}]?|[0-9a-fA-F]{32}') THEN TRY_CAST(trim(s) AS UUID) END`,
	`kq_fraction(f) AS CAST(rpad(left(f, 7), 7, '0') AS BIGINT)`,
	`kq_zero(s) AS CASE WHEN s = '' THEN 0 ELSE CAST(s AS BIGINT) END`,
	`kq_clock(h, m, s, ap) AS CASE WHEN h > 23 OR m > 59 OR s > 59 OR ap <> '' AND (h > 12 OR h = 0) THEN NULL ELSE (CASE WHEN ap = 'p' AND h < 12 THEN h + 12 WHEN ap = 'a' AND h = 12 THEN 0 ELSE h END) * 36000000000 + m * 600000000 + s * 10000000 END`,
	`kq_zone(z) AS CASE WHEN z = '' OR lower(z) = 'z' THEN 0 ELSE CASE WHEN z[1] = '-' THEN -1 ELSE 1 END * (kq_zero(z[2:3]) * 36000000000 + kq_zero(z[4:]) * 600000000) END`,
	`kq_moment(p) AS CASE WHEN p.y <> '' THEN kq_range(kq_ticks(TRY_CAST(p.y || '-' || p.mo || '-' || p.d AS TIMESTAMP)) + kq_clock(kq_zero(p.h), kq_zero(p.mi), kq_zero(p.s), lower(left(p.ap, 1))) + kq_fraction(p.f) - kq_zone(replace(p.z, ':', ''))) END`,
	`kq_iso(s) AS kq_moment(regexp_extract(s, '^ *([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})(?:(?:[Tt]| +)([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})(?:[.]([0-9]{1,9}))?)?(?: *([AaPp])[Mm])?)? *([Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)? *$', ['y', 'mo', 'd', 'h', 'mi', 's', 'f', 'ap', 'z']))`,
	`kq_us(s) AS kq_moment(regexp_extract(s, '^ *([0-9]{1,2})[-/]([0-9]{1,2})[-/]([0-9]{4})(?:(?:[Tt]| +)([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})(?:[.]([0-9]{1,9}))?)?(?: *([AaPp])[Mm])?)? *([Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)? *$', ['mo', 'd', 'y', 'h', 'mi', 's', 'f', 'ap', 'z']))`,
	`kq_words(s) AS kq_ticks(try_strptime(trim(s), ['%Y%m%d', '%d %b %Y', '%d %B %Y', '%b %d, %Y', '%B %d, %Y', '%d %b %Y %H:%M:%S', '%d %B %Y %H:%M:%S', '%a, %d %b %Y %H:%M:%S GMT', '%a, %d %b %Y %H:%M:%S']))`,
	`kq_text_datetime(s) AS CASE WHEN s = '' THEN NULL WHEN s LIKE '____-__-__T__:__:__._______Z' THEN kq_range(kq_ticks(TRY_CAST(left(s, 26) AS TIMESTAMP)) + TRY_CAST(s[27] AS BIGINT)) ELSE coalesce(kq_iso(s), kq_us(s), kq_words(s)) END`,
	`kq_span(p) AS CASE WHEN p.mi <> '' THEN CASE WHEN p.sign = '-' THEN -1 ELSE 1 END * (kq_zero(p.d) * 864000000000 + kq_clock(kq_zero(p.h), kq_zero(p.mi), kq_zero(p.s), '') + kq_fraction(p.f)) END`,
	`kq_unit(u) AS CASE u WHEN 'd' THEN 864000000000 WHEN '' THEN 864000000000 WHEN 'h' THEN 36000000000 WHEN 'm' THEN 600000000 WHEN 's' THEN 10000000 WHEN 'ms' THEN 10000 END`,
	`kq_text_timespan(s) AS coalesce(kq_span(regexp_extract(s, '^ *(-?)(?:([0-9]{1,8})[.])?([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})(?:[.]([0-9]{1,7}))?)? *$', ['sign', 'd', 'h', 'mi', 's', 'f'])), CASE WHEN regexp_full_match(trim(s), '-?[0-9]{1,9}(d|h|m|s|ms)?') THEN CAST(regexp_extract(trim(s), '^-?[0-9]+') AS BIGINT) * kq_unit(regexp_extract(trim(s), '[a-z]*$')) END)`,

	// Dynamic values. Every dynamic is the text of one JSON value; its null is NULL, never the text null.
	`kq_value(j) AS nullif(CAST(j AS VARCHAR), 'null')`,
	`kq_parse_json(s) AS CASE WHEN trim(s) = '' THEN NULL WHEN json_valid(s) AND NOT regexp_matches(s, '(NaN|Infinity|nan|inf)') THEN kq_value(json(s)) ELSE CAST(to_json(s) AS VARCHAR) END`,
	`kq_key(j, k) AS CASE WHEN json_type(j) = 'OBJECT' THEN kq_value(json_extract(j, '/' || replace(replace(k, '~', '~0'), '/', '~1'))) END`,
	`kq_item(j, i) AS CASE WHEN json_type(j) = 'ARRAY' THEN kq_value(json_extract(j, '$[' || CASE WHEN i < 0 THEN '#' || CAST(i AS VARCHAR) ELSE CAST(i AS VARCHAR) END || ']')) END`,
	`kq_dynamic_number(j) AS CASE WHEN json_type(j) IN ('BIGINT', 'UBIGINT', 'DOUBLE') THEN TRY_CAST(j AS DOUBLE) END`,
	`kq_dynamic_exact(j) AS CASE WHEN json_type(j) IN ('BIGINT', 'UBIGINT') THEN TRY_CAST(j AS BIGINT) WHEN json_type(j) = 'DOUBLE' AND TRY_CAST(j AS DOUBLE) = trunc(TRY_CAST(j AS DOUBLE)) THEN TRY_CAST(TRY_CAST(j AS DOUBLE) AS BIGINT) END`,
	`kq_dynamic_long(j) AS CASE json_type(j) WHEN 'BIGINT' THEN TRY_CAST(j AS BIGINT) WHEN 'UBIGINT' THEN TRY_CAST(j AS BIGINT) WHEN 'DOUBLE' THEN TRY_CAST(trunc(TRY_CAST(j AS DOUBLE)) AS BIGINT) WHEN 'BOOLEAN' THEN CASE WHEN j = 'true' THEN 1 ELSE 0 END WHEN 'VARCHAR' THEN kq_text_long(json_extract_string(j, '$')) END`,
	`kq_dynamic_real(j) AS CASE json_type(j) WHEN 'BIGINT' THEN TRY_CAST(j AS DOUBLE) WHEN 'UBIGINT' THEN TRY_CAST(j AS DOUBLE) WHEN 'DOUBLE' THEN TRY_CAST(j AS DOUBLE) WHEN 'BOOLEAN' THEN CASE WHEN j = 'true' THEN 1 ELSE 0 END WHEN 'VARCHAR' THEN kq_text_real(json_extract_string(j, '$')) END`,
	`kq_dynamic_bool(j) AS CASE json_type(j) WHEN 'BOOLEAN' THEN j = 'true' WHEN 'VARCHAR' THEN kq_text_bool(json_extract_string(j, '$')) WHEN 'BIGINT' THEN TRY_CAST(j AS BIGINT) <> 0 WHEN 'UBIGINT' THEN TRY_CAST(j AS DOUBLE) <> 0 WHEN 'DOUBLE' THEN TRY_CAST(j AS DOUBLE) <> 0 END`,
	`kq_gettype(j) AS CASE json_type(j) WHEN 'BIGINT' THEN 'long' WHEN 'UBIGINT' THEN 'long' WHEN 'DOUBLE' THEN 'double' WHEN 'VARCHAR' THEN 'string' WHEN 'BOOLEAN' THEN 'bool' WHEN 'ARRAY' THEN 'array' WHEN 'OBJECT' THEN 'dictionary' ELSE 'null' END`,

	// Arrays: kq_list gives the items of an array, NULL for anything else.
	`kq_list(j) AS CASE WHEN json_type(j) = 'ARRAY' THEN from_json(j, '["JSON"]') END`,
	`kq_items(j) AS CASE WHEN json_type(j) = 'ARRAY' THEN from_json(j, '["JSON"]') ELSE [CAST(j AS JSON)] END`,
	`kq_array(l) AS CAST(to_json(l) AS VARCHAR)`,
	`kq_keys(j) AS CASE WHEN json_type(j) = 'OBJECT' THEN json_keys(j) END`,
	`kq_raw(j, k) AS CASE WHEN json_type(j) = 'OBJECT' THEN CAST(json_extract(j, '/' || replace(replace(k, '~', '~0'), '/', '~1')) AS VARCHAR) END`,
	`kq_member(j, k) AS coalesce(CAST(json_extract(j, '/' || replace(replace(k, '~', '~0'), '/', '~1')) AS VARCHAR), 'null')`,
	`kq_expand(j) AS CASE WHEN j IS NULL THEN [CAST(NULL AS JSON)] WHEN json_type(j) = 'ARRAY' THEN from_json(j, '["JSON"]') WHEN json_type(j) = 'OBJECT' THEN list_transform(json_keys(j), lambda k: CAST('{' || to_json(k) || ':' || kq_member(j, k) || '}' AS JSON)) ELSE [CAST(j AS JSON)] END`,
	`kq_expand_pairs(j) AS CASE WHEN j IS NULL THEN [CAST(NULL AS JSON)] WHEN json_type(j) = 'ARRAY' THEN from_json(j, '["JSON"]') WHEN json_type(j) = 'OBJECT' THEN list_transform(json_keys(j), lambda k: CAST('[' || to_json(k) || ',' || kq_member(j, k) || ']' AS JSON)) ELSE [CAST(j AS JSON)] END`,
	`kq_bag_keys(j) AS CASE WHEN json_type(j) = 'OBJECT' THEN CAST(to_json(json_keys(j)) AS VARCHAR) END`,
	`kq_position(n, i) AS CASE WHEN i < 0 THEN greatest(n + i, 0) ELSE i END`,
	`kq_slice(l, a, b) AS list_slice(l, kq_position(len(l), a) + 1, CASE WHEN b < 0 THEN len(l) + b ELSE b END + 1)`,

	// Strings. Terms are maximal runs of letters and digits.
	`kq_border(s) AS regexp_matches(s, '^[\p{L}\p{N}]')`,
	`kq_edge(s) AS regexp_matches(s, '[\p{L}\p{N}]$')`,
	`kq_before(x) AS CASE WHEN kq_border(x) THEN '(?:^|[^\p{L}\p{N}])' ELSE '' END || regexp_escape(x)`,
	`kq_after(x) AS CASE WHEN kq_edge(x) THEN '(?:$|[^\p{L}\p{N}])' ELSE '' END`,
	`kq_has(s, x) AS (contains(s, x) AND (x = '' OR regexp_matches(s, kq_before(x) || kq_after(x))))`,
	`kq_hasprefix(s, x) AS (contains(s, x) AND (x = '' OR regexp_matches(s, kq_before(x))))`,
	`kq_hassuffix(s, x) AS (contains(s, x) AND (x = '' OR regexp_matches(s, regexp_escape(x) || kq_after(x))))`,
	`kq_substring(s, a, n) AS CASE WHEN n < 0 THEN substring(s, kq_position(length(s), a) + 1) ELSE substring(s, kq_position(length(s), a) + 1, n) END`,
	`kq_found(p, a) AS CASE WHEN p = 0 THEN -1 ELSE p - 1 + a END`,
	`kq_indexof(s, x, a, n) AS kq_found(strpos(kq_substring(s, a, n), x), kq_position(length(s), a))`,
	`kq_countof(s, x) AS CASE WHEN x = '' THEN 0 ELSE len(list_filter(range(1, length(s) - length(x) + 2), lambda i: substring(s, i, length(x)) = x)) END`,
	`kq_split(s, d) AS CASE WHEN d = '' THEN [s] ELSE string_split(s, d) END`,
	`kq_split_at(s, d, i) AS CASE WHEN i < 0 OR i >= len(kq_split(s, d)) THEN '[]' ELSE kq_array([kq_split(s, d)[i + 1]]) END`,
	`kq_base64_text(s) AS list_transform([s], lambda x: coalesce(TRY(decode(from_base64(x))), ''))[1]`,
	`kq_hex(x, n) AS CASE WHEN length(hex(x)) < n THEN lpad(lower(hex(x)), CAST(n AS INTEGER), '0') ELSE lower(hex(x)) END`,

	// Arrays and bags, second part.
	`kq_array_text(j) AS CASE WHEN json_type(j) = 'ARRAY' THEN j END`,
	`kq_rotated(l, n) AS list_concat(list_slice(l, n + 1, len(l)), list_slice(l, 1, n))`,
	`kq_rotate(j, n) AS CASE WHEN json_type(j) = 'ARRAY' AND json_array_length(j) > 0 THEN kq_array(kq_rotated(kq_list(j), kq_mod(n, CAST(json_array_length(j) AS BIGINT)))) ELSE kq_array(kq_list(j)) END`,
	`kq_shifted(l, n, v) AS list_transform(range(1, len(l) + 1), lambda i: CASE WHEN i + n BETWEEN 1 AND len(l) THEN l[i + n] ELSE v END)`,
	`kq_shift(j, n, v) AS kq_array(kq_shifted(kq_list(j), n, CAST(v AS JSON)))`,
	`kq_some(l) AS list_filter(l, lambda e: e IS NOT NULL)`,
	`kq_nothing(l) AS list_filter(l, lambda e: e IS NULL)`,
	`kq_comparable(l) AS list_transform(l, lambda e: struct_pack(n := kq_dynamic_number(CAST(e AS VARCHAR)), s := kq_dynamic_text(CAST(e AS VARCHAR)), v := e))`,
	`kq_in_order(l, way) AS list_transform(list_sort(kq_comparable(kq_some(l)), way), lambda e: e.v)`,
	`kq_sort(j, way, last) AS CASE WHEN last THEN kq_array(list_concat(kq_in_order(kq_list(j), way), kq_nothing(kq_list(j)))) ELSE kq_array(list_concat(kq_nothing(kq_list(j)), kq_in_order(kq_list(j), way))) END`,
	`kq_zipped(k, v) AS list_transform(list_filter(range(1, len(k) + 1), lambda i: json_type(k[i]) = 'VARCHAR'), lambda i: CAST(k[i] AS VARCHAR) || ':' || coalesce(CAST(v[i] AS VARCHAR), 'null'))`,
	`kq_bag_zip(k, v) AS CASE WHEN json_type(k) = 'ARRAY' THEN '{' || coalesce(array_to_string(kq_zipped(kq_list(k), coalesce(kq_list(v), [])), ','), '') || '}' END`,
	`kq_character(n) AS CASE WHEN n BETWEEN 1 AND 55295 OR n BETWEEN 57344 AND 1114111 THEN chr(n) END`,
	`kq_characters(j) AS coalesce(array_to_string(list_transform(kq_list(j), lambda e: kq_character(TRY_CAST(CAST(e AS VARCHAR) AS INTEGER))), ''), '')`,
	// TRY takes no subquery as its argument, which the item of a list never is.
	`kq_base64_hex(s) AS list_transform([s], lambda x: TRY(hex(from_base64(x))))[1]`,
	`kq_hex_bytes(h) AS list_transform(range(CAST(length(h) // 2 AS BIGINT)), lambda i: CAST('0x' || substring(h, 2 * i + 1, 2) AS BIGINT))`,
	`kq_base64_bytes(s) AS CAST(to_json(kq_hex_bytes(kq_base64_hex(s))) AS VARCHAR)`,
	`kq_byte_hex(j) AS list_transform(kq_list(j), lambda e: lpad(hex(TRY_CAST(CAST(e AS VARCHAR) AS UTINYINT)), 2, '0'))`,
	`kq_bytes_base64(j) AS CASE WHEN len(list_filter(kq_byte_hex(j), lambda h: h IS NULL)) = 0 THEN coalesce(to_base64(unhex(array_to_string(kq_byte_hex(j), ''))), '') ELSE '' END`,
	`kq_swapped(h) AS h[7:8] || h[5:6] || h[3:4] || h[1:2] || h[11:12] || h[9:10] || h[15:16] || h[13:14] || h[17:]`,
	`kq_guid_base64(g) AS coalesce(to_base64(unhex(kq_swapped(replace(CAST(g AS VARCHAR), '-', '')))), '')`,
	`kq_base64_guid(s) AS CASE WHEN length(kq_base64_hex(s)) = 32 THEN TRY_CAST(kq_swapped(kq_base64_hex(s)) AS UUID) END`,

	// Arrays of numbers.
	`kq_numbers(j) AS list_transform(kq_list(j), lambda e: kq_dynamic_number(CAST(e AS VARCHAR)))`,
	`kq_pairs(a, b) AS CASE WHEN a IS NOT NULL AND b IS NOT NULL THEN list_transform(range(1, greatest(len(a), len(b)) + 1), lambda i: [a[i], b[i]]) END`,
	`kq_reals(l) AS CAST(to_json(l) AS VARCHAR)`,

	// IPv4 addresses.
	`kq_quad(a, b, c, d) AS CASE WHEN a <= 255 AND b <= 255 AND c <= 255 AND d <= 255 THEN ((a * 256 + b) * 256 + c) * 256 + d END`,
	`kq_address(p) AS CASE WHEN p.a <> '' AND kq_zero(p.n) <= 32 THEN kq_quad(kq_zero(p.a), kq_zero(p.b), kq_zero(p.c), kq_zero(p.d)) END`,
	`kq_ip_parts(s) AS regexp_extract(s, '^ *([0-9]{1,3})[.]([0-9]{1,3})[.]([0-9]{1,3})[.]([0-9]{1,3})(?:/([0-9]{1,2}))? *$', ['a', 'b', 'c', 'd', 'n'])`,
	`kq_ip(s) AS kq_address(kq_ip_parts(s))`,
	`kq_suffix(n) AS CASE WHEN n = '' THEN 32 ELSE CAST(n AS BIGINT) END`,
	`kq_prefix(s) AS kq_suffix(regexp_extract(s, '/([0-9]{1,2}) *$', 1))`,
	`kq_masked(x, n) AS CASE WHEN n BETWEEN 0 AND 32 THEN x - x % (CAST(1 AS BIGINT) << CAST(32 - n AS BIGINT)) END`,
	`kq_private(x) AS (kq_masked(x, 8) = 167772160 OR kq_masked(x, 12) = 2886729728 OR kq_masked(x, 16) = 3232235520)`,
	`kq_ip_difference(a, b, n) AS CAST(sign(kq_masked(kq_ip(a), least(kq_prefix(a), kq_prefix(b), n)) - kq_masked(kq_ip(b), least(kq_prefix(a), kq_prefix(b), n))) AS BIGINT)`,
}
