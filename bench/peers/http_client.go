// SPDX-License-Identifier: MIT
// The cases of bench_http.cpp with Go's net/http.
//
// usage: go run http_client.go small|large|idle URL [FOLDER] [CA]
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"sort"
	"sync"
	"syscall"
	"time"
)

const batches, batch, atOnce, files, idleConnections = 15, 1000, 16, 4, 400

func cpu() float64 {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e6
}

func wall() float64 { return float64(time.Now().UnixNano()) / 1e6 }

func resident() float64 {
	text, _ := os.ReadFile("/proc/self/statm")
	var total, pages float64
	fmt.Sscan(string(text), &total, &pages)
	return pages * 4096
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func median(values []float64) float64 {
	sort.Float64s(values)
	return values[len(values)/2]
}

func get(client *http.Client, url string) {
	response, err := client.Get(url)
	must(err)
	body, err := io.ReadAll(response.Body)
	must(err)
	response.Body.Close()
	if response.StatusCode != 200 || len(body) != 4096 {
		panic("other bytes")
	}
}

func atOnceDo(count int, work func(int)) {
	var all sync.WaitGroup
	for i := 0; i < count; i++ {
		all.Add(1)
		go func(i int) { work(i); all.Done() }(i)
	}
	all.Wait()
}

func oneBatch(client *http.Client, url string) {
	atOnceDo(atOnce, func(i int) {
		for n := i; n < batch; n += atOnce {
			get(client, url)
		}
	})
}

func main() {
	what, url, ca := os.Args[1], os.Args[2], os.Args[len(os.Args)-1]
	transport := &http.Transport{MaxIdleConns: 1000, MaxIdleConnsPerHost: 1000, DisableCompression: true,
		ForceAttemptHTTP2: os.Getenv("HTTP2") != ""}
	if pem, err := os.ReadFile(ca); err == nil {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	client := &http.Client{Transport: transport}
	switch what {
	case "small":
		oneBatch(client, url)
		var walls, cpus []float64
		for i := 0; i < batches; i++ {
			w, c := wall(), cpu()
			oneBatch(client, url)
			walls, cpus = append(walls, wall()-w), append(cpus, cpu()-c)
		}
		fmt.Printf("{\"wall\": %.3f, \"cpu\": %.3f}\n", median(walls), median(cpus))
	case "large":
		w, c := wall(), cpu()
		atOnceDo(files, func(i int) {
			response, err := client.Get(url)
			must(err)
			to, err := os.Create(fmt.Sprintf("%s/go-%d", os.Args[3], i))
			must(err)
			_, err = io.Copy(to, response.Body)
			must(err)
			must(to.Close())
			response.Body.Close()
		})
		fmt.Printf("{\"wall\": %.3f, \"cpu\": %.3f}\n", wall()-w, cpu()-c)
	case "idle":
		get(client, url)
		debug.FreeOSMemory()
		before := resident()
		atOnceDo(idleConnections, func(int) { get(client, url) })
		time.Sleep(200 * time.Millisecond)
		debug.FreeOSMemory()
		fmt.Printf("{\"bytes\": %.0f, \"connections\": %d}\n", (resident()-before)/idleConnections, idleConnections)
	}
}
