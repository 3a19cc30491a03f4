// SPDX-License-Identifier: MIT
// The cases pool_rtt and pool_submit_N of `micro` on goroutines: a call is `go`, its result comes by a channel.
//
// usage: go run pools.go CASE | list
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

const inTurn, atOnce = 20000, 400000

func plusOne(n uint64) uint64 { return n + 1 }

func submit(n uint64) chan uint64 {
	result := make(chan uint64, 1)
	go func() { result <- plusOne(n) }()
	return result
}

func rtt() {
	for i := uint64(0); i < inTurn; i++ {
		<-submit(i)
	}
}

func submits(submitters uint64) {
	var all sync.WaitGroup
	for s := uint64(0); s < submitters; s++ {
		all.Add(1)
		go func() {
			defer all.Done()
			each := atOnce / submitters
			results := make([]chan uint64, 0, each)
			for i := uint64(0); i < each; i++ {
				results = append(results, submit(i))
			}
			for _, one := range results {
				<-one
			}
		}()
	}
	all.Wait()
}

func main() {
	runtime.GOMAXPROCS(2)
	cases := map[string]struct {
		work  func()
		count int
	}{
		"pool_rtt":      {rtt, inTurn},
		"pool_submit_1": {func() { submits(1) }, atOnce},
		"pool_submit_2": {func() { submits(2) }, atOnce},
		"pool_submit_8": {func() { submits(8) }, atOnce},
	}
	name := ""
	if len(os.Args) == 2 {
		name = os.Args[1]
	}
	if name == "list" {
		for each := range cases {
			fmt.Println(each)
		}
	} else if chosen, there := cases[name]; there {
		began := time.Now()
		chosen.work()
		ns := float64(time.Since(began).Nanoseconds()) / float64(chosen.count)
		fmt.Printf("{\"bench\": %q, \"value\": %.1f, \"n\": %d}\n", name, ns, chosen.count)
	} else {
		fmt.Fprintln(os.Stderr, "usage: pools CASE | list")
		os.Exit(2)
	}
}
