module github.com/quantus-network/quantus-miner/internal/engine/_asm

go 1.26.0

require (
	github.com/mmcloughlin/avo v0.6.0
	github.com/quantus-network/quantus-miner v0.0.0
	golang.org/x/sys v0.50.0
)

require (
	golang.org/x/mod v0.42.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/tools v0.52.0 // indirect
)

replace github.com/quantus-network/quantus-miner => ../../..
