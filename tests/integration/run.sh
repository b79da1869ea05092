#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Runs the pytest suite and prints TAP. $WEIR_TEST_FILTER is pytest's -k expression; arguments go to pytest.
set -u
python=${PYTHON3:-/usr/bin/python3}
here=$WEIR_TOP/tests/integration

if ! "$python" -c 'import pytest' 2>/dev/null; then
    echo "1..0 # SKIP integration tests: pytest for $python is not installed (./dev setup test)"
    exit 0
fi

# TAP goes to descriptor 3, pytest's own words to the log.
exec 3>&1 1>&2
PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH} WEIR_TAP_FD=3 \
    "$python" -m pytest -p tap -p no:cacheprovider --rootdir "$here" -q -k "${WEIR_TEST_FILTER:-}" "$@" "$here"
case $? in
    0|1) exit 0 ;;      # 1: failed cases, each already a "not ok"
    5) exit 0 ;;        # nothing matched; the plan says so
    *) echo "not ok - pytest ended early" >&3; exit 1 ;;
esac
