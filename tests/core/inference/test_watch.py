import asyncio
import threading

import pytest

from axon_quant.inference.watch import WatchChannel


async def _reports(receiver, within=0.05):
    try:
        await asyncio.wait_for(receiver.changed(), within)
    except TimeoutError:
        return False
    return True


def test_the_value_at_subscription_counts_as_seen():
    async def main():
        channel = WatchChannel("a")
        channel.publish("b")
        receiver = channel.subscribe()
        assert receiver.borrow() == "b"
        assert not await _reports(receiver)
        channel.publish("c")
        assert await _reports(receiver)
        assert receiver.borrow() == "c"

    asyncio.run(main())


def test_updates_coalesce_and_the_last_one_is_never_missed():
    async def main():
        channel = WatchChannel(0)
        receiver = channel.subscribe()
        for value in (1, 2, 3):
            channel.publish(value)
        assert await _reports(receiver)
        assert receiver.borrow() == 3
        assert not await _reports(receiver)

    asyncio.run(main())


def test_borrowing_does_not_count_as_seen():
    async def main():
        channel = WatchChannel(0)
        receiver = channel.subscribe()
        channel.publish(1)
        assert receiver.borrow() == 1
        assert await _reports(receiver)

    asyncio.run(main())


def test_a_publish_from_another_thread_wakes_every_waiter():
    async def main():
        channel = WatchChannel(0)
        receivers = [channel.subscribe() for _ in range(3)]
        waiting = asyncio.gather(*(asyncio.wait_for(receiver.changed(), 5) for receiver in receivers))
        await asyncio.sleep(0)
        thread = threading.Thread(target=channel.publish, args=(1,))
        thread.start()
        await waiting
        thread.join()
        assert [receiver.borrow() for receiver in receivers] == [1, 1, 1]

    asyncio.run(main())


def test_a_timed_out_wait_leaves_nothing_behind_and_can_be_repeated():
    async def main():
        channel = WatchChannel(0)
        receiver = channel.subscribe()
        assert not await _reports(receiver, 0.01)
        assert not channel._waiters
        channel.publish(1)
        assert await _reports(receiver)

    asyncio.run(main())


def test_closing_cancels_pending_and_later_waits():
    async def main():
        channel = WatchChannel(0)
        receiver = channel.subscribe()
        task = asyncio.create_task(receiver.changed())
        await asyncio.sleep(0)
        channel.close()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(asyncio.CancelledError):
            await receiver.changed()

    asyncio.run(main())


def test_a_value_published_before_closing_is_still_delivered():
    async def main():
        channel = WatchChannel(0)
        receiver = channel.subscribe()
        channel.publish(1)
        channel.close()
        await receiver.changed()
        assert receiver.borrow() == 1

    asyncio.run(main())


def test_the_waiter_of_a_closed_loop_is_dropped_and_others_are_woken():
    channel = WatchChannel(0)
    abandoned = channel.subscribe()
    loop = asyncio.new_event_loop()
    task = loop.create_task(abandoned.changed())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    async def main():
        receiver = channel.subscribe()
        waiting = asyncio.create_task(asyncio.wait_for(receiver.changed(), 5))
        await asyncio.sleep(0)
        channel.publish(1)
        await waiting

    asyncio.run(main())
    assert not channel._waiters
    assert not task.done()
    task._log_destroy_pending = False
    task.get_coro().close()
