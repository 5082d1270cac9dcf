// Package httpapi is the HTTP API that the node speaks: wire types, validation
// and handlers. The contract is frozen; api/openapi.yaml holds it, and a test
// holds this package to that file.
//
// The node's client reads bodies only, with a strict decoder: every answer,
// refusals included, has a JSON body of the shape that the node expects from
// the endpoint it called. (What is no HTTP to begin with, net/http answers by
// itself, in plain text: the node sends no such thing.) Start with [New]; request.go is what the node sends,
// response.go what it gets, limits.go how much of it.
package httpapi
