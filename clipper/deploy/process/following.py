"""Following a child to its end: its output to a log, and nothing of it left behind."""

import asyncio
import logging

from clipper.core.tasks import Tasks
from clipper.deploy.lifeline import Lifeline
from clipper.deploy.logs import Log, LogPump
from clipper.deploy.manager import Exit
from clipper.deploy.process.child import Child
from clipper.deploy.reaper import kill_marked

LAST_WORDS_S = 1.0

log = logging.getLogger(__name__)


async def follow(child: Child, mark: str, lifeline: Lifeline, file: Log) -> Exit:
    """Wait for its end, and for that of all that bears its mark; cancelled, end them first."""
    lifeline.hold(child.pid)
    tasks = Tasks()
    pump = LogPump(child.output.fileno(), file)
    printing = tasks.spawn(f"log pid {child.pid}", pump.run())
    try:
        await child.ended()
    except asyncio.CancelledError:
        child.kill()
        await child.ended()
        raise
    finally:
        code, reason = child.bury()
        lifeline.release(child.pid)
        try:
            await asyncio.to_thread(kill_marked, mark)  # whoever left the group
        except (OSError, RuntimeError) as error:  # no descriptor, or no thread, is to be had
            log.warning("what %s left may still run: %s", mark, error)
        await asyncio.wait([printing], timeout=LAST_WORDS_S)
        await tasks.cancel()
        child.output.close()
    return Exit(code, reason, pump.recent())
