"""
The program as it is run: a process, real files, real HTTP, a real Prometheus.
"""

import json
import os
import re
import signal
import socket
import time
from collections import Counter
from pathlib import Path

import pytest
from conftest import StartExporter, StartPrometheus
from running import check_metrics, total, wait_until

DATA = Path(__file__).parent / "data"
SAMPLE = DATA / "sample.log"
LINE = b"Nov 22 22:10:34 vm milter-manager[7]: [statistics] "
END = LINE + b"[session][end][end-of-message][pass][0.02899](1)\n"
ENDED = "milter_manager_sessions_ended_total"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


def append(path: Path, data: bytes) -> None:
    """
    Write at the end of a file, and make it if need be.
    """
    with path.open("ab") as file:
        file.write(data)


def grep(expression: str, path: Path = SAMPLE) -> list[bytes]:
    """
    List the lines of milter-manager that hold something, as `grep` would.
    """
    ours = re.compile(rb"^[^\[]* milter-manager(-process-launcher)?\[\d+\]: ")
    wanted = re.compile(expression.encode())
    lines = path.read_bytes().splitlines()
    return [line for line in lines if ours.match(line) and wanted.search(ours.sub(b"", line))]


def test_live_log(tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    A log is followed while it is written, through a rotation, late lines included.
    """
    path = tmp_path / "mail.log"
    append(path, END)
    exporter = start_exporter(f"--input.file={path}").serve()

    assert 0 == exporter.total(ENDED)

    append(path, END * 3)
    wait_until(lambda: exporter.total(ENDED) == 3)
    rotated = path.rename(tmp_path / "mail.log.1")
    append(rotated, END)
    append(path, END)
    wait_until(lambda: exporter.total(ENDED) == 5)
    append(rotated, END)
    wait_until(lambda: exporter.total(ENDED) == 6)
    samples = exporter.samples()

    assert 1 == total(samples, "milter_manager_exporter_file_rotations_total", file=str(path))
    assert 0 == total(samples, "milter_manager_exporter_read_errors_total", file=str(path))
    assert 1 == total(samples, "milter_manager_exporter_watcher_up")
    assert 6 == total(samples, "milter_manager_exporter_lines_total")


def test_log_that_appears(tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    A log named by --input.file need not exist, nor its directory; then it is read whole.
    """
    path = tmp_path / "later" / "mail.log"
    exporter = start_exporter(f"--input.file={path}").serve()
    path.parent.mkdir()
    append(path, END)
    wait_until(lambda: exporter.total(ENDED) == 1)


def test_two_logs(tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    Several logs are counted together, their bytes apart.
    """
    paths = [tmp_path / "one.log", tmp_path / "two.log"]
    for path in paths:
        append(path, END)
    flags = [f"--input.file={path}" for path in paths]
    exporter = start_exporter("--input.from=beginning", *flags).serve()
    samples = exporter.samples()

    assert 2 == total(samples, ENDED)
    for path in paths:
        assert len(END) == total(
            samples, "milter_manager_exporter_read_bytes_total", file=str(path)
        )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop(number: signal.Signals, tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    SIGTERM and SIGINT end the program within two seconds, status 0.
    """
    exporter = start_exporter(f"--input.file={tmp_path / 'mail.log'}").serve()
    asked = time.monotonic()

    assert 0 == exporter.terminate(number)
    assert 2 > time.monotonic() - asked
    assert "msg=stopped" in exporter.lines[-1]
    assert not any("Traceback" in line for line in exporter.lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_restart(number: signal.Signals, tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    However it ended, the program goes on where it was: nothing is lost, nothing counted twice.
    """
    path = tmp_path / "mail.log"
    append(path, END)
    flags = [f"--input.file={path}", f"--state.file={tmp_path / 'state' / 'state'}"]
    exporter = start_exporter(*flags).serve()
    append(path, END * 3)
    wait_until(lambda: exporter.total(ENDED) == 3)

    assert (-9 if number == signal.SIGKILL else 0) == exporter.terminate(number)

    append(path, END)
    path.rename(tmp_path / "mail.log.1")
    append(path, END)
    exporter = start_exporter(*flags).serve()

    assert 5 == exporter.total(ENDED)
    assert any('msg="going on from the saved state"' in line for line in exporter.lines)


def test_state_in_use(tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    A second program with the same state ends with status 1 and one line that says so.
    """
    state = tmp_path / "state"
    flag = f"--input.file={tmp_path / 'mail.log'}"
    first = start_exporter(flag, f"--state.file={state}").serve()
    second = start_exporter(flag, f"--state.file={state}")

    assert 1 == second.wait()
    assert [
        f"milter-manager-exporter: error: another exporter uses the state file {state}\n"
    ] == second.lines
    assert 200 == first.get("/metrics").status


def test_state_that_cannot_be_kept(tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    A state file that was asked for and cannot be written is status 1 and one line, too.
    """
    (tmp_path / "file").write_bytes(b"")
    state = tmp_path / "file" / "state"
    exporter = start_exporter(f"--state.file={state}")

    assert 1 == exporter.wait()
    assert [
        f"milter-manager-exporter: error: cannot keep the state in {state}: Not a directory\n"
    ] == exporter.lines


def test_default_state(
    tmp_path: Path, start_exporter: StartExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without a flag the state is where systemd says, and the log says where that is.
    """
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "lib"))
    exporter = start_exporter(f"--input.file={tmp_path / 'mail.log'}").serve()
    exporter.terminate()

    assert (tmp_path / "lib" / "state").stat().st_size > 0
    assert any(
        f'msg="keeping the state" file={tmp_path / "lib" / "state"}' in line
        for line in exporter.lines
    )


def test_damaged_state(tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    A state that is damaged in both generations costs the numbers, not the program.
    """
    path, state = tmp_path / "mail.log", tmp_path / "state"
    append(path, END)
    state.write_bytes(b"")
    state.with_name("state.previous").write_bytes(bytes(4096))
    exporter = start_exporter(
        f"--input.file={path}", "--input.from=beginning", f"--state.file={state}"
    ).serve()

    assert 1 == exporter.total(ENDED)
    assert 2 == exporter.total("milter_manager_exporter_state_errors_total")
    said = "".join(exporter.lines)
    assert f"{state}: it is empty" in said
    assert f"{state}.previous: it is no state file" in said
    assert "state lost: counters start at 0" in said
    assert b"" == state.with_name("state.damaged").read_bytes()


def test_stop_in_a_backlog(tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    A backlog does not keep the program from ending, nor makes it ready before its time.
    """
    path = tmp_path / "mail.log"
    append(path, END)
    os.truncate(path, 1 << 40)  # a hole: more NUL bytes than anyone reads
    exporter = start_exporter(f"--input.file={path}", "--input.from=beginning")
    wait_until(lambda: exporter.read_bytes() > 1 << 26)
    asked = time.monotonic()

    assert 0 == exporter.terminate()
    assert 2 > time.monotonic() - asked
    assert not any("msg=ready" in line for line in exporter.lines)


def test_port_in_use(tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    A port in use ends the program with status 1 and one line that says so.
    """
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        exporter = start_exporter(
            f"--input.file={tmp_path / 'mail.log'}", address=f"127.0.0.1:{port}"
        )

        assert 1 == exporter.wait()

    reason = f"cannot listen on 127.0.0.1:{port}: address already in use"
    assert [f"milter-manager-exporter: error: {reason}\n"] == exporter.lines


def test_unreadable_log(tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    A log that cannot be read is told once, counted at each look, and read once it can be.
    """
    path = tmp_path / "mail.log"
    path.mkdir()
    exporter = start_exporter(f"--input.file={path}").serve()
    errors = "milter_manager_exporter_read_errors_total"
    wait_until(lambda: exporter.total(errors, file=str(path)) >= 3)
    path.rmdir()
    append(path, END)
    wait_until(lambda: exporter.total(ENDED) == 1)
    exporter.terminate()

    said = [line for line in exporter.lines if "cannot read" in line]
    assert 1 == len(said)
    assert 'reason="is not a regular file"' in said[0]
    assert 1 == len([line for line in exporter.lines if "can be read again" in line])


def test_json_log(tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    With --log.format=json every line of the exporter's log is one JSON object.
    """
    path = tmp_path / "mail.log"
    exporter = start_exporter(f"--input.file={path}", "--log.format=json").serve()
    exporter.terminate()
    said = [json.loads(line) for line in exporter.lines]

    assert {"info"} == {line["level"] for line in said}
    assert [
        "serving metrics",
        "following a log",
        "ready",
        "stopped",
    ] == [line["msg"] for line in said]
    assert f"127.0.0.1:{exporter.port}" == said[0]["addresses"]
    assert str(path) == said[1]["file"]


def test_endpoints(tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    All endpoints answer, and the page names the log and the way to the metrics.
    """
    path = tmp_path / "mail.log"
    exporter = start_exporter(f"--input.file={path}", "--web.telemetry-path=/m").serve()

    assert 200 == exporter.get("/-/healthy").status
    assert 200 == exporter.get("/-/ready").status
    assert 200 == exporter.get("/m").status
    assert 404 == exporter.get("/metrics").status
    assert str(path).encode() in exporter.get("/").body
    assert b'href="./m"' in exporter.get("/").body


def test_name_that_is_not_text(tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    A log whose name is not UTF-8 does not break the scrape.
    """
    path = tmp_path / os.fsdecode(b"caf\xe9.log")
    append(path, END)
    exporter = start_exporter(f"--input.file={path}", "--input.from=beginning").serve()

    assert 1 == exporter.total(ENDED)
    assert len(END) == exporter.total(
        "milter_manager_exporter_read_bytes_total", file=str(tmp_path / "caf\ufffd.log")
    )


def test_promtool(start_exporter: StartExporter) -> None:
    """
    Before the first line and after the last promtool has nothing to say about what is served.
    """
    for flag in ("--input.from=end", "--input.from=beginning"):
        exporter = start_exporter(f"--input.file={SAMPLE}", flag).serve()

        assert "" == check_metrics(exporter.get("/metrics").body)


def test_prometheus(start_exporter: StartExporter, start_prometheus: StartPrometheus) -> None:
    """
    A real Prometheus takes the numbers in, exemplars included, and they are those of the log.
    """
    exporter = start_exporter(f"--input.file={SAMPLE}", "--input.from=beginning").serve()
    prometheus = start_prometheus(exporter)
    wait_until(lambda: prometheus.number("up == 1") == 1)

    ends = grep(r"^\[statistics\] \[session\]\[end\]")
    assert len(ends) == prometheus.number("sum(milter_manager_sessions_ended_total)")
    words = [re.findall(rb"\[([a-z-]+)\]", line)[-2:] for line in ends]
    assert Counter((state.decode(), status.decode()) for state, status in words) == {
        (series["last_state"], series["status"]): value
        for series, value in prometheus.query("milter_manager_sessions_ended_total > 0")
    }
    duration = "milter_manager_session_duration_seconds"
    assert len(ends) == prometheus.number(f"sum({duration}_count)")
    assert sum(float(line.split(b"][")[-1].split(b"]")[0]) for line in ends) == pytest.approx(
        prometheus.number(f"sum({duration}_sum)")
    )
    finished = grep(r"^\[statistics\] \[sessions\]\[finished\]")
    assert sum(int(line.split(b"(+")[1].split(b")")[0]) for line in finished) == prometheus.number(
        "milter_manager_sessions_finished_total"
    )
    for expression, metric in {
        r"^\[statistics\] \[milter\]\[end\]": "milter_manager_milters_ended_total",
        r"^\[statistics\] \[milter\]\[header\]": "milter_manager_milter_headers_added_total",
        r"^\[statistics\] \[session\]\[header\]": "milter_manager_session_headers_added_total",
        r"^(\[\d+\] )?\[children\]\[timeout\]": "milter_manager_milter_timeouts_total",
        r"^(\[\d+\] )?\[leader\]\[error\] invalid state": "milter_manager_harmless_messages_total",
        r"^": "milter_manager_log_lines_total",
    }.items():
        assert len(grep(expression)) == prometheus.number(f"sum({metric})"), metric
    lines = SAMPLE.read_bytes().splitlines()
    assert len(lines) == prometheus.number("sum(milter_manager_exporter_lines_total)")
    assert len(lines) - len(grep("^")) == prometheus.number(
        'milter_manager_exporter_lines_total{outcome="foreign"}'
    )


def test_exemplars(
    tmp_path: Path, start_exporter: StartExporter, start_prometheus: StartPrometheus
) -> None:
    """
    Prometheus keeps the exemplars of a log that is written now, each with the session's id.
    """
    path = tmp_path / "mail.log"
    exporter = start_exporter(f"--input.file={path}").serve()
    now = time.time()
    stamp = time.strftime("%b %e %H:%M:%S", time.localtime(now)).encode()
    append(path, stamp + b" vm milter-manager[7]: [session][end][quit][pass][0.5](4711)\n")
    wait_until(lambda: exporter.total(ENDED) == 1)
    prometheus = start_prometheus(exporter)
    bucket = "milter_manager_session_duration_seconds_bucket"
    wait_until(lambda: prometheus.exemplars(bucket, now) != [])
    (exemplar,) = prometheus.exemplars(bucket, now)

    assert {"session_id": "4711"} == exemplar["labels"]
    assert "0.5" == exemplar["value"]
    assert b'# {session_id="4711"} 0.5 ' in exporter.get("/metrics", OPENMETRICS).body
