"""An asyncio program that sends, asks somebody something, and follows what happens.

Beside a gateway such as that of `smsgw demo --keep`:

    SMSGW_URL=http://127.0.0.1:8080 SMSGW_TOKEN=TOKEN python examples/asyncio_client.py
"""

from __future__ import annotations

import asyncio

from smsgw.client import AsyncClient

PHONES = ["13800001001", "18900001002", "18600001003"]


async def notify(client: AsyncClient, phone: str) -> str:
    """Send a message; return what became of it."""
    message_id = await client.send(phone, "三号演播室 19:30 直播")
    return (await client.wait(message_id)).status


async def question(client: AsyncClient, phone: str, text: str) -> str:
    """Ask a phone something; return what its owner writes back."""
    conversation = await client.conversations.open(phone, "arrival", text=text)
    # A program that lives longer keeps each event's id, and goes on from the last: after=…
    async for event in client.events(kinds=["conversation.reply"], follow=True):
        if event.subject_id == conversation.id:
            return str(event.data["text"])
    raise AssertionError("what is followed does not end")


async def main() -> None:
    async with AsyncClient() as client:
        statuses = await asyncio.gather(*(notify(client, phone) for phone in PHONES))
        for phone, status in zip(PHONES, statuses, strict=True):
            print(phone, status)
        print("answer:", await question(client, PHONES[0], "几点到？"))


if __name__ == "__main__":
    asyncio.run(main())
