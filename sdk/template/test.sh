#!/bin/sh
# Starts a weir with @name@.so on a socket of its own and asks it. WEIR_BIN is the program; without it, weir from PATH.
set -eu
weir=${WEIR_BIN:-weir}
dir=$(mktemp -d)
pid=

stop() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    wait
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 1' INT TERM

fail() {
    echo "FAIL: $*"
    cat "$dir/error.log" 2>/dev/null || true
    exit 1
}

cat > "$dir/weir.conf" <<EOT
module $PWD/@name@.so;
workers 1;
control off;
state_dir $dir;
error_log $dir/error.log;
site localhost {
    listen unix:$dir/http.sock;
    @id@ "hello \$method";
    respond 200 "made by @name@";
}
EOT

"$weir" run -c "$dir/weir.conf" &
pid=$!

tries=0
until answer=$(curl -si --max-time 5 --unix-socket "$dir/http.sock" http://localhost/ 2>/dev/null); do
    kill -0 "$pid" 2>/dev/null || fail "weir did not start"
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || fail "no answer within ten seconds"
    sleep 0.1
done

echo "$answer" | grep -qi '^X-@name@: hello GET' || fail "no field X-@name@ in: $answer"
echo "$answer" | grep -q 'made by @name@' || fail "another answer: $answer"
echo "ok: @name@"
