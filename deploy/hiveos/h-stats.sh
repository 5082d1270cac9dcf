#!/usr/bin/env bash
# Tells HiveOS how the miner stands: khs, the rate in thousands of hashes a second, and
# stats. HiveOS sources this, in the miner's folder or with the manifest's values set.
# It needs curl and jq, which HiveOS has.

[[ -n $CUSTOM_API_PORT ]] || . "$(dirname "${BASH_SOURCE[0]}")/h-manifest.conf"

# shellcheck disable=SC2034 # HiveOS reads them
if quantus_status=$(curl --silent --fail --max-time 5 "http://127.0.0.1:$CUSTOM_API_PORT/api/v1/status"); then
	khs=$(jq -r '.hash_rate / 1000' <<<"$quantus_status")
	# A rate for each device, or for each thread if the CPU is alone. A pool says which shares
	# it accepts and which it refuses; of a node's winners nobody says that they were refused.
	stats=$(jq -c '{
		hs: [if (.devices | length) == 1 then .devices[0].threads[].hash_rate else .devices[].hash_rate end / 1000],
		hs_units: "khs",
		temp: [],
		fan: [],
		uptime: (.uptime_seconds | floor),
		ver: .version,
		ar: (if .pool then [.pool.shares.accepted, (.pool.shares | .stale + .duplicate + .low_difficulty + .other)] else [.found, 0] end),
		algo: .pow
	}' <<<"$quantus_status")
else
	khs=0
	stats=null
fi
