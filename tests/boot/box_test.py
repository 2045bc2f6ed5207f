"""tools/kvm-box: what a command in the box sees, and what comes back."""

import hashlib
import os
import random
import signal
import tempfile
import time
from pathlib import Path

from harness import case
from paths import BUILD, ROOT

BOX = str(ROOT / "tools" / "kvm-box")


@case("box: real /dev/kvm, exit status, three streams", needs=("box",), limit=300)
def streams(test):
    data = random.Random(1).randbytes(10 << 20)
    script = """
        exec 3<>/dev/kvm || exit 1
        grep -q svm /proc/cpuinfo || exit 2
        test "$EXO_PROBE" = here || exit 3
        test -d /sys/kernel/debug/kvm || exit 4
        touch /etc/exo-probe 2>/dev/null && exit 5
        cat
        echo on standard error >&2
        exit 7
    """
    done = test.run([BOX, "sh", "-c", script], stdin=data, env={"EXO_PROBE": "here"})
    assert done.status == 7, f"status {done.status}"
    assert hashlib.sha256(done.output).digest() == hashlib.sha256(data).digest(), "10 MiB did not come back as they went"
    assert done.errors.endswith(b"on standard error\n"), done.errors[-200:]


@case("box: disks are block devices, written through; results reach the host", needs=("box",), limit=300)
def disks(test):
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        folder = Path(scratch)
        good, odd, locked = folder / "good.img", folder / "odd.img", folder / "locked.img"
        good.write_bytes(random.Random(2).randbytes(3 * 512))
        odd.write_bytes(b"x" * 1000)
        locked.write_bytes(b"y" * 512)
        script = f"""
            test -b {good} && test -f {odd} && test -b {locked} || exit 1
            test $(blockdev --getsize64 {good}) = 1536 || exit 2
            sha256sum < {good} > {folder}/digest
            dd if=/dev/zero of={locked} bs=512 count=1 conv=notrunc 2>/dev/null && exit 3
            printf 'new words' | dd of={good} bs=1 seek=512 conv=notrunc 2>/dev/null
        """
        before = good.read_bytes()
        done = test.run([BOX, "--disk", str(good), "--disk", str(odd), "--disk", f"{locked},readonly", "sh", "-c", script])
        assert done.status == 0, f"status {done.status}"
        assert (folder / "digest").read_text().split()[0] == hashlib.sha256(before).hexdigest()
        assert good.read_bytes() == before[:512] + b"new words" + before[521:], "what was written did not reach the file"
        assert locked.read_bytes() == b"y" * 512


@case("box: at a terminal", needs=("box",), limit=300)
def terminal(test):
    script = """
        trap 'echo interrupted' INT
        trap 'stty size' WINCH
        stty size
        until [ "$word" ]; do read -r -t 0.2 word; done
        echo "got <$word>"
        exit 3
    """
    with test.type_at([BOX, "bash", "-c", script], rows=33, columns=101) as keyboard:
        before = keyboard.flags()
        keyboard.expect(r"33 101")
        keyboard.type("\x03")
        keyboard.expect(r"interrupted")
        keyboard.resize(40, 120)
        keyboard.expect(r"40 120")
        keyboard.type("a word\r")
        keyboard.expect(r"got <a word>")
        assert keyboard.wait() == 3
        assert keyboard.flags() == before, "the terminal was not left as it was"


@case("box: SIGTERM ends the machine and restores the terminal", needs=("box",), limit=300)
def terminate(test):
    with test.type_at([BOX, "sh", "-c", "echo up; sleep 1000"]) as keyboard:
        before = keyboard.flags()
        keyboard.expect(r"up")
        tool = keyboard.process.pid
        machines = Path(f"/proc/{tool}/task/{tool}/children").read_text().split()
        assert machines, "no machine was found under the tool"
        os.kill(tool, signal.SIGTERM)
        assert keyboard.wait() == 128 + signal.SIGTERM
        assert keyboard.flags() == before, "the terminal was not left as it was"
        time.sleep(0.2)
        for machine in machines:
            assert not Path(f"/proc/{int(machine)}").exists(), "the machine outlived its tool"


@case("box: time limit, missing command, command killed", needs=("box",), limit=300)
def endings(test):
    assert test.run([BOX, "sleep", "1000"], env={"EXO_BOX_TIMEOUT": "2"}).status == 137
    assert test.run([BOX, "no-such-command"]).status == 127
    assert test.run([BOX, "sh", "-c", "kill -9 $$"]).status == 128 + 9


@case("box: says so when its parts cannot be fetched", needs=("box",), limit=300)
def unreachable(test):
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        nowhere = {"EXO_CACHE": scratch, "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
        done = test.run([BOX, "true"], env=nowhere)
        assert done.status == 125, f"status {done.status}"
        assert b"the box's parts cannot be fetched" in done.errors, done.errors
