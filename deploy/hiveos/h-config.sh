#!/usr/bin/env bash
# Writes the miner's flags, one a line, and the node's secrets. HiveOS sources this with
# the fields of the flight sheet:
#
#   Pool URL         the node, HOST:PORT; more of them, separated by spaces, are fallbacks
#   Wallet template  the SHA-256 of the node's certificate: its file miner-tls-cert-sha256
#   Pass             the token: the node's file miner-auth-token
#   Extra config     more flags, such as --workers 8 --throttle 80%

quantus_config() {
	local dir
	dir=$(dirname "$CUSTOM_CONFIG_FILENAME")
	if [[ -z ${CUSTOM_URL//[[:space:]]/} || -z ${CUSTOM_TEMPLATE//[[:space:]]/} || -z ${CUSTOM_PASS//[[:space:]]/} ]]; then
		echo "quantus-miner: the flight sheet needs Pool URL (the node, HOST:PORT), Wallet template (the SHA-256 of its certificate) and Pass (its token)" >&2
		return 1
	fi
	mkdir -p "$dir"
	rm -f "$dir/token" # of whatever mode
	(umask 077 && printf '%s\n' "$CUSTOM_PASS" >"$dir/token")
	printf '%s\n' "$CUSTOM_TEMPLATE" >"$dir/pin"
	local node flag
	{
		echo connect
		for node in $CUSTOM_URL; do
			printf -- '--node=%s\n' "${node#*://}"
		done
		printf -- '--auth-token-file=%s\n' "$dir/token"
		printf -- '--tls-cert-sha256-file=%s\n' "$dir/pin"
		printf -- '--metrics-port=%s\n' "$CUSTOM_API_PORT"
		echo --log-format=text
		for flag in $CUSTOM_USER_CONFIG; do
			printf '%s\n' "$flag"
		done
	} >"$CUSTOM_CONFIG_FILENAME"
}

quantus_config
