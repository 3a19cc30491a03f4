// SPDX-License-Identifier: MIT
// The server of bench_http_server.cpp with Go's net/http.
//
// usage: http_server PORT TLS_PORT FOLDER
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	folder := os.Args[3]
	http.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, "Hello, world\n")
	})
	http.Handle("/", http.FileServer(http.Dir(folder)))
	go http.ListenAndServeTLS("127.0.0.1:"+os.Args[2], folder+"/../chain.pem", folder+"/../key.pem", nil)
	panic(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
