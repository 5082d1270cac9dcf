#!/usr/bin/env bash
# Runs the miner with the flags that h-config.sh has written.
cd "$(dirname "$0")" || exit 1
. ./h-manifest.conf

if [[ ! -s $CUSTOM_CONFIG_FILENAME ]]; then
	echo "quantus-miner: there is no $CUSTOM_CONFIG_FILENAME: apply a flight sheet first" >&2
	exit 1
fi
mapfile -t flags <"$CUSTOM_CONFIG_FILENAME"
mkdir -p "$(dirname "$CUSTOM_LOG_BASENAME")"

./quantus-miner "${flags[@]}" "$@" 2>&1 | tee --append "$CUSTOM_LOG_BASENAME.log"
exit "${PIPESTATUS[0]}"
