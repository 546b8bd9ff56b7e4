package kusto

// The published api-versions, newest first. A shape is compared as a string:
// the dates sort, and both previews are older than every stable version.
const (
	v20250214 = "2025-02-14"
	v20240413 = "2024-04-13"
	v20230815 = "2023-08-15"
	v20230502 = "2023-05-02"
	v20221229 = "2022-12-29"
	v20221111 = "2022-11-11"
	v20220707 = "2022-07-07"
	v20220201 = "2022-02-01"
	v20210827 = "2021-08-27"
	v20210101 = "2021-01-01"
	v20200918 = "2020-09-18"
	v20200614 = "2020-06-14"
	v20200215 = "2020-02-15"
	v20191109 = "2019-11-09"
	v20190907 = "2019-09-07"
	v20190515 = "2019-05-15"
	v20190121 = "2019-01-21"
	vFirst    = "2017-09-07-privatepreview"
)

func versions() []string {
	return []string{
		v20250214, v20240413, v20230815, v20230502, v20221229, v20221111, v20220707, v20220201, v20210827, v20210101,
		v20200918, v20200614, v20200215, v20191109, v20190907, v20190515, v20190121, "2018-09-07-preview", vFirst,
	}
}

// versionsSince lists the versions from first on, newest first.
func versionsSince(first string) []string {
	var out []string
	for _, v := range versions() {
		if v >= first {
			out = append(out, v)
		}
	}
	return out
}
