package tour

import (
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// embeddedQuakes is the 120 strongest earthquakes of one week of February 2018
// from the United States Geological Survey (public domain): id, time, place,
// magnitude, longitude, latitude, depth.
//
//go:embed earthquakes.csv
var embeddedQuakes string

// dataSet is rows for one table, as one streaming request.
type dataSet struct {
	table, schema string
	format        string
	data          []byte
	rows          int
	source        string
	// telling are values that must not be found anywhere on the disk.
	telling []string
}

const quakeSchema = "Id:string, Time:datetime, Place:string, Magnitude:real, Longitude:real, Latitude:real, DepthKm:real"

// embedded is the data set of an instance without the npm package.
func embedded() (dataSet, error) {
	d := dataSet{table: "Earthquakes", schema: quakeSchema, format: "csv", data: []byte(embeddedQuakes), source: "USGS, 120 rows embedded in the binary (public domain)"}
	r := csv.NewReader(strings.NewReader(embeddedQuakes))
	for {
		record, err := r.Read()
		if err == io.EOF {
			return d, nil
		}
		if err != nil {
			return dataSet{}, err
		}
		d.rows++
		d.telling = append(d.telling, record[2])
	}
}

// vega reads earthquakes and flights of the npm package vega-datasets.
func vega(dir string) ([]dataSet, error) {
	quakes, err := vegaQuakes(filepath.Join(dir, "data", "earthquakes.json"))
	if err != nil {
		return nil, err
	}
	flights, err := vegaFlights(filepath.Join(dir, "data", "flights-20k.json"))
	if err != nil {
		return nil, err
	}
	return []dataSet{quakes, flights}, nil
}

func vegaQuakes(path string) (dataSet, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return dataSet{}, err
	}
	var in struct {
		Features []struct {
			ID         string `json:"id"`
			Properties struct {
				Mag   *float64 `json:"mag"`
				Place string   `json:"place"`
				Time  int64    `json:"time"`
			} `json:"properties"`
			Geometry struct {
				Coordinates []float64 `json:"coordinates"`
			} `json:"geometry"`
		} `json:"features"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return dataSet{}, fmt.Errorf("read %s: %w", path, err)
	}
	d := dataSet{table: "Earthquakes", schema: quakeSchema, format: "csv", source: "USGS earthquakes of one week, from the npm package vega-datasets (public domain)"}
	var b strings.Builder
	w := csv.NewWriter(&b)
	for _, f := range in.Features {
		at := time.UnixMilli(f.Properties.Time).UTC().Format(time.RFC3339Nano)
		record := []string{f.ID, at, f.Properties.Place, "", "", "", ""}
		if f.Properties.Mag != nil {
			record[3] = strconv.FormatFloat(*f.Properties.Mag, 'g', -1, 64)
		}
		for i, v := range f.Geometry.Coordinates {
			if i < 3 {
				record[4+i] = strconv.FormatFloat(v, 'g', -1, 64)
			}
		}
		if err := w.Write(record); err != nil {
			return dataSet{}, err
		}
		d.rows++
		if len(d.telling) < 200 && len(f.Properties.Place) >= 12 {
			d.telling = append(d.telling, f.Properties.Place)
		}
	}
	w.Flush()
	d.data = []byte(b.String())
	return d, w.Error()
}

func vegaFlights(path string) (dataSet, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return dataSet{}, err
	}
	var rows []struct {
		Date                string `json:"date"`
		Delay, Distance     int
		Origin, Destination string
	}
	if err := json.Unmarshal(raw, &rows); err != nil {
		return dataSet{}, fmt.Errorf("read %s: %w", path, err)
	}
	return dataSet{table: "Flights", schema: "date:datetime, delay:long, distance:long, origin:string, destination:string",
		format: "multijson", data: raw, rows: len(rows), source: "US domestic flights, from the npm package vega-datasets (Bureau of Transportation Statistics, public domain)"}, nil
}
