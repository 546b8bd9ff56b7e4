package compat_test

const intro = `# Compatibility

What runs, what is refused, what differs. This file is written by a test from the
registries of the code (` + "`go test ./internal/compat -update`" + `); edit the test, not the file.

*Supported* means that it does what the service's documentation says. *Refused*
means an error of the service's own shape that names what was asked for; nothing
is answered as done that was not done.

`

const dataPlane = `## Kusto data plane

| What | |
|---|---|
| v1 and v2 query (POST, GET), management commands (POST), streaming ingestion, login metadata, ping | supported |
| fragmented v2 frames, newlines between frames, error placement in data, at the end of the table or of the data set, deferred partial failures | supported |
| gzip and deflate of requests and answers; calls from browsers (CORS) | supported |
| options servertimeout, norequesttimeout, notruncation, truncationmaxrecords, truncationmaxsize, query_take_max_records, request_readonly, query_now | supported |
| options query_language other than kql, query_results_apply_getschema, query_datetimescope_column | refused by name |
| every other request option | ignored |
| streaming ingestion of csv, tsv, psv, scsv, json, multijson, singlejson (4 MB), parquet (64 MB), all after decompression | supported |
| other formats, ingestion from a URL (sourceKind=uri), stored mappings (mappingName) | refused by name |
| queued ingestion | refused by name |

Differs:

- A query or command by GET, or with x-ms-readonly, may not change anything.
- Progressive results are never progressive; the client sees one final answer.
- The resource consumption of an answer gives its duration, rows and bytes; what is not measured is null.
- The error envelope does not repeat the text of the query.
- A table belongs to the database: its creator does not become its administrator, so role User creates tables and cannot change them later.
- Every result table without ` + "`as`" + ` is called PrimaryResult.
- On the host ingest-NAME the same requests are answered; ` + "`.show version`" + ` says DataManagement there.

`
