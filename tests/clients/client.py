"""A client of omni's endpoint by the official Python SDK: says what it saw as one JSON document.

client.py URL KEY MODE, where MODE is `legacy` or a revision.
"""

import asyncio
import json
import sys

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError


async def main(url: str, key: str, mode: str) -> dict:
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=60)
    async with http, Client(streamable_http_client(url, http_client=http), mode=mode) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        echoed = await client.call_tool("lab__echo", {"message": "from python"})
        try:
            denied = await client.call_tool("lab__drop_table", {})
            denied = f"answered: {denied}"
        except MCPError as error:
            denied = str(error)
        limited = await client.call_tool("lab__echo", {"message": "again"})
        return {
            "tools": tools,
            "echoed": echoed.content[0].text,
            "denied": denied,
            "limited": [limited.is_error, limited.content[0].text],
        }


print(json.dumps(asyncio.run(main(*sys.argv[1:4]))))
