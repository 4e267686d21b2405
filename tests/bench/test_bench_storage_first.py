"""The verdict of bench.storage_first, its witness, and a short run of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count

import pytest

from bench.bus import WAYS
from bench.client import Client, End
from bench.storage_first import Phase, Run, Sent, lines_of, main, problems_of
from bench.witness import Acknowledgement, Witness

NUMBERS = count(1)


def sent(**changes: object) -> Sent:
    """A request that was acknowledged rightly while the bus was well."""
    event = f"ev-{next(NUMBERS)}"
    values = {"event": event, "way": "queue", "phase": Phase.WELL, "life": 0, "end": End.ANSWERED, "status": 202}
    return Sent(**{**values, "id": f"id of {event}", "seconds": 0.1, **changes})  # type: ignore[arg-type]


def run_of(*requests: Sent, lives: int = 1) -> Run:
    """A run in which all that was acknowledged was so rightly, and has arrived."""
    others = [sent(way=way, life=life) for way in WAYS for life in range(lives)]
    every = [*others, *requests]
    kept = [each for each in every if each.is_acknowledged]
    return Run(
        sent=every,
        acknowledged={each.event: [Acknowledgement(each.id, each.life)] for each in kept},
        arrived={each.event: 1 for each in kept},
        life=lives - 1,
    )


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(sent(), id="an acknowledgement"),
        pytest.param(sent(status=502, phase=Phase.KILLED), id="a bus that is not there"),
        pytest.param(sent(status=504, phase=Phase.FROZEN, seconds=31.0), id="a bus that does not answer"),
    ],
)
def test_what_is_as_promised(request_: Sent) -> None:
    assert problems_of(run_of(request_)) == []


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        pytest.param(sent(end=End.HUNG, status=0), "a request ended as hung", id="hung"),
        pytest.param(sent(end=End.LOST, status=0), "a request ended as lost", id="no answer"),
        pytest.param(sent(end=End.CUT, status=0), "a request ended as cut", id="half an answer"),
        pytest.param(sent(status=500, phase=Phase.KILLED), "500 while it was killed", id="another error"),
        pytest.param(sent(status=200, phase=Phase.KILLED), "200 while it was killed", id="a success that is no 202"),
        pytest.param(sent(status=502), "502 though the bus was well", id="an error without a reason"),
        pytest.param(sent(seconds=41.0), "took more than 40 s", id="late"),
    ],
)
def test_what_is_a_problem(request_: Sent, said: str) -> None:
    (problem,) = problems_of(run_of(request_))
    assert said in problem


@pytest.mark.parametrize(
    ("given", "arrived", "said"),
    [
        pytest.param([], True, "acknowledged, and the bus had not", id="the bus knows nothing"),
        pytest.param([Acknowledgement("x", 1)], True, "an id that the bus did not give", id="another id"),
        pytest.param([Acknowledgement("i", 1)], False, "never arrived, though the bus lived on", id="lost"),
        pytest.param([Acknowledgement("i", 0)], False, None, id="lost with a bus that was killed"),
        pytest.param([Acknowledgement("x", 0), Acknowledgement("i", 1)], True, None, id="sent twice"),
    ],
)
def test_what_is_acknowledged_in_vain(given: list[Acknowledgement], arrived: bool, said: str | None) -> None:
    request = sent(id="i", life=1)
    run = run_of(request, lives=2)
    run.acknowledged = {**run.acknowledged, request.event: given}
    run.arrived = {event: 1 for event in run.arrived if arrived or event != request.event}

    problems = problems_of(run)
    assert [said in problem for problem in problems if said] == ([True] if said else [])
    assert len(problems) == (1 if said else 0)


def test_a_way_that_stays_closed_after_a_start_is_a_problem() -> None:
    run = run_of(lives=2)
    run.sent = [each for each in run.sent if (each.way, each.life) != ("stream", 1)]

    assert problems_of(run) == ["nothing was acknowledged on the way of the stream after 1 starts of the bus"]


def test_memory_that_grows_is_a_problem() -> None:
    (problem,) = problems_of(replace(run_of(), growth_kib=100_000))
    assert "memory grew by 100000 KiB" in problem


def test_what_arrived_unasked_is_told() -> None:
    refused = sent(status=504, phase=Phase.FROZEN)
    run = run_of(refused)
    run.arrived = {**run.arrived, refused.event: 2}

    assert "1 events arrived though their clients were told of an error, 1 arrived twice" in lines_of(run)


ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"MessageId": "m-1"}'


def test_the_witness_writes_down_what_the_bus_says_and_can_halve_it() -> None:
    async def story() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(1000):
                writer.write(ANSWER)
            writer.close()

        bus = await asyncio.start_server(answer, "127.0.0.1", 0)
        spare = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = spare.sockets[0].getsockname()[1]
        spare.close()
        witness = Witness(port, bus.sockets[0].getsockname()[1])
        await witness.open()
        client = Client(port, repeats=False)

        whole = await client.request("POST", "/", body=b"ev-1")
        halving = asyncio.create_task(witness.half_an_answer())
        await asyncio.sleep(0)
        half = await client.request("POST", "/", body=b"ev-2")
        await halving
        again = await client.request("POST", "/", body=b"ev-1")
        await witness.close()
        closed = await client.request("POST", "/", body=b"ev-3")
        bus.close()

        assert (whole.end, whole.body) == (End.ANSWERED, b'{"MessageId": "m-1"}')
        assert half.end in (End.CUT, End.LOST)
        assert again.end is End.ANSWERED
        assert closed.end is End.LOST
        assert {event: len(given) for event, given in witness.acknowledged.items()} == {"ev-1": 2, "ev-2": 1}
        assert witness.acknowledged["ev-2"] == [Acknowledgement("m-1", 0)]

    asyncio.run(story())


def test_a_short_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Two kills, the second within an answer."""
    assert main(["--kills", "2", "--seconds", "1", "--clients", "4", "--no-freeze"]) == 0
    said = capsys.readouterr().out
    assert "2 kills, 1 of them within an answer" in said
    assert said.endswith("PASS: the bus has acknowledged each event that the gateway acknowledged\n")


def test_each_way_needs_a_client(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--clients", "3"])
    assert ended.value.code == 2
    assert "--clients 3: at least 4 are needed" in capsys.readouterr().err
