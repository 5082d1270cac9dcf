#!/usr/bin/env bash
# Writes the miner's flags, one a line, and the secrets. HiveOS sources this with the
# fields of the flight sheet. For a pool, whose URL begins with stratum+:
#
#   Pool URL         the pool, stratum+ssl://HOST:PORT; more of them, separated by spaces,
#                    are fallbacks
#   Wallet template  the address to be paid and a name for the rig: %WAL%.%WORKER_NAME%
#   Pass             the password, or nothing
#   Extra config     more flags, such as --workers 8 --throttle 80%
#
# For a node:
#
#   Pool URL         the node, HOST:PORT; more of them, separated by spaces, are fallbacks
#   Wallet template  the SHA-256 of the node's certificate: its file miner-tls-cert-sha256
#   Pass             the token: the node's file miner-auth-token
#   Extra config     more flags

quantus_config() {
	local dir server flag
	dir=$(dirname "$CUSTOM_CONFIG_FILENAME")
	if [[ -z ${CUSTOM_URL//[[:space:]]/} || -z ${CUSTOM_TEMPLATE//[[:space:]]/} ]]; then
		echo "quantus-miner: the flight sheet needs Pool URL (a pool, stratum+ssl://HOST:PORT, or a node, HOST:PORT) and Wallet template (ADDRESS.RIG for a pool, the SHA-256 of a node's certificate)" >&2
		return 1
	fi
	local pool=
	[[ $CUSTOM_URL =~ ^[[:space:]]*stratum ]] && pool=yes
	if [[ -z $pool && -z ${CUSTOM_PASS//[[:space:]]/} ]]; then
		echo "quantus-miner: the flight sheet needs Pass: the node's token" >&2
		return 1
	fi
	mkdir -p "$dir"
	rm -f "$dir/token" # of whatever mode
	(umask 077 && printf '%s\n' "${CUSTOM_PASS:-x}" >"$dir/token")
	{
		if [[ -n $pool ]]; then
			echo pool
			for server in $CUSTOM_URL; do
				printf -- '--url=%s\n' "$server"
			done
			printf -- '--user=%s\n' "$CUSTOM_TEMPLATE"
			printf -- '--password-file=%s\n' "$dir/token"
		else
			printf '%s\n' "$CUSTOM_TEMPLATE" >"$dir/pin"
			echo connect
			for server in $CUSTOM_URL; do
				printf -- '--node=%s\n' "${server#*://}"
			done
			printf -- '--auth-token-file=%s\n' "$dir/token"
			printf -- '--tls-cert-sha256-file=%s\n' "$dir/pin"
		fi
		printf -- '--metrics-port=%s\n' "$CUSTOM_API_PORT"
		echo --log-format=text
		for flag in $CUSTOM_USER_CONFIG; do
			printf '%s\n' "$flag"
		done
	} >"$CUSTOM_CONFIG_FILENAME"
}

quantus_config
