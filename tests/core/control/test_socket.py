"""The control socket: one line asked, one answered, and only by whom it may be."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from axon_quant.control import ControlServer, Peer, ask
from axon_quant.errors import ControlError, NoAnswerError, NotRunningError, OrderError


async def echo(request, peer):
    return {"heard": request.get("word"), "pid": peer.pid, "uid": peer.uid}


async def refuse(request, peer):
    raise OrderError("not today", hint="tomorrow")


async def break_down(request, peer):
    raise ZeroDivisionError("by zero")


async def hang(request, peer):
    await asyncio.sleep(60)


OPERATIONS = {"echo": echo, "refuse": refuse, "break": break_down, "hang": hang}


def asked(path, *arguments, **parameters):
    return asyncio.to_thread(ask, path, *arguments, **parameters)


async def test_a_request_is_answered_and_the_kernel_says_who_asks(tmp_path):
    async with ControlServer(tmp_path / "s", OPERATIONS):
        answer = await asked(tmp_path / "s", "echo", word="hello")
        assert answer == {"heard": "hello", "pid": os.getpid(), "uid": os.getuid()}


async def test_the_socket_is_its_users_only_and_goes_with_the_server(tmp_path):
    path = tmp_path / "folder" / "s"
    async with ControlServer(path, OPERATIONS):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_ISSOCK(path.stat().st_mode)
    assert not path.exists()
    with pytest.raises(NotRunningError, match="no run is controlled"):
        await asked(path, "echo")


async def test_what_an_operation_raises_is_answered(tmp_path):
    async with ControlServer(tmp_path / "s", OPERATIONS):
        with pytest.raises(ControlError, match=r"refuse was refused: not today \(tomorrow\)"):
            await asked(tmp_path / "s", "refuse")
        with pytest.raises(ControlError, match="ZeroDivisionError: by zero"):
            await asked(tmp_path / "s", "break")
        with pytest.raises(ControlError, match="no such op; there are break, echo, hang, refuse"):
            await asked(tmp_path / "s", "shout")
        assert (await asked(tmp_path / "s", "echo", word=1))["heard"] == 1


async def test_one_that_hangs_does_not_keep_others_waiting(tmp_path):
    async with ControlServer(tmp_path / "s", OPERATIONS):
        with pytest.raises(NoAnswerError, match=r"within 0.2 s.*may hang"):
            await asked(tmp_path / "s", "hang", timeout=0.2)
        assert (await asked(tmp_path / "s", "echo", word=2))["heard"] == 2


async def test_a_stopped_process_does_not_answer_and_keeps_its_socket(tmp_path):
    path = tmp_path / "s"
    code = (
        "import asyncio, sys\nfrom axon_quant.control import ControlServer\n"
        "async def main():\n"
        "    async with ControlServer(sys.argv[1], {}):\n"
        "        print('up', flush=True)\n        await asyncio.sleep(60)\n"
        "asyncio.run(main())"
    )
    command = [sys.executable, "-c", code, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220 - nothing else runs here
    try:
        assert process.stdout.readline() == "up\n"
        with pytest.raises(ControlError, match=f"another process \\(pid {process.pid}\\) is controlled"):
            await ControlServer(path, {}).start()
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(NoAnswerError):
            await asked(path, "echo", timeout=0.2)
        with pytest.raises(ControlError, match="another process"):
            await ControlServer(path, {}).start()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    with pytest.raises(NotRunningError, match="has died"):
        await asked(path, "echo")
    async with ControlServer(path, OPERATIONS):  # what it left is removed
        assert (await asked(path, "echo", word=3))["heard"] == 3


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    (tmp_path / "s").write_text("precious")
    with pytest.raises(ControlError, match="is no socket"):
        await ControlServer(tmp_path / "s", {}).start()
    assert (tmp_path / "s").read_text() == "precious"


async def test_a_path_longer_than_a_sockets_works_all_the_same(tmp_path):
    folder = tmp_path / ("long" * 30) / ("longer" * 20)
    async with ControlServer(folder / "s", OPERATIONS):
        assert (await asked(folder / "s", "echo", word="far"))["heard"] == "far"
    with pytest.raises(ControlError, match="longer than a socket's may be"):
        await ControlServer(folder / ("s" * 120), OPERATIONS).start()


async def test_a_server_does_not_remove_the_socket_of_its_successor(tmp_path):
    first = ControlServer(tmp_path / "s", OPERATIONS)
    await first.start()
    (tmp_path / "s").unlink()
    async with ControlServer(tmp_path / "s", OPERATIONS):
        await first.stop()
        assert (await asked(tmp_path / "s", "echo", word=4))["heard"] == 4


def talk(path, data):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").read()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server that lives for the whole module, on a loop in a thread."""
    path = tmp_path_factory.mktemp("control") / "s"
    loop, up = asyncio.new_event_loop(), threading.Event()
    server = ControlServer(path, OPERATIONS)

    def serve():
        loop.run_until_complete(server.start())
        up.set()
        loop.run_forever()
        loop.run_until_complete(server.stop())
        loop.run_until_complete(asyncio.sleep(0.05))
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    up.wait()
    yield path
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), st.text(max_size=50).map(str.encode), st.just(b"[" * 100_000)))
def test_nonsense_is_answered_with_an_error_and_harms_nobody(served, data):
    answer = talk(served, data + b"\n")
    assert answer.startswith(b'{"ok": false') or answer == b""
    assert ask(served, "echo", word=5)["heard"] == 5


def test_somebody_without_a_name_is_shown_by_number():
    assert str(Peer(7, 4_000_000)) == "unknown (uid 4000000, pid 7)"
    assert str(Peer()) == "unknown"
