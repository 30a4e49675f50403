"""Functions run by several processes, as torchrun would start them; forked, so that nothing is imported again."""

import multiprocessing
import os
import socket
import traceback


def launched(count, function, *arguments):
    """What a function returns in each of so many processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    pipes, children = [], []
    for number in range(count):
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_run, args=(number, count, port, theirs, function, arguments))
        child.start()
        theirs.close()
        pipes.append(ours)
        children.append(child)
    try:
        results = [pipe.recv() for pipe in pipes]
    finally:
        for child in children:
            child.join(60)
    failed = [text for text, _ in results if text]
    assert not failed, failed[0]
    return [result for _, result in results]


def _run(number, count, port, pipe, function, arguments):
    os.environ |= {
        "RANK": str(number),
        "WORLD_SIZE": str(count),
        "LOCAL_RANK": str(number),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    try:
        pipe.send(("", function(*arguments)))
    except BaseException:
        pipe.send((traceback.format_exc(), None))
