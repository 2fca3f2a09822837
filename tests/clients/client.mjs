// A client of omni's endpoint by the official TypeScript SDK: says what it saw as one JSON document.
// client.mjs SDK_DIR URL KEY
import { pathToFileURL } from "node:url";

const [sdk, url, key] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(`${sdk}/dist/esm/client/${file}`).href);
const { Client } = await load("index.js");
const { StreamableHTTPClientTransport } = await load("streamableHttp.js");

const headers = { Authorization: `Bearer ${key}` };
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
const client = new Client({ name: "test", version: "1" });
await client.connect(transport);
const tools = (await client.listTools()).tools.map((tool) => tool.name);
const echoed = await client.callTool({ name: "lab__echo", arguments: { message: "from node" } });
const denied = await client.callTool({ name: "lab__drop_table", arguments: {} }).then(
  (result) => `answered: ${JSON.stringify(result)}`,
  (error) => error.message,
);
const limited = await client.callTool({ name: "lab__echo", arguments: { message: "again" } });
await client.close();
console.log(
  JSON.stringify({
    tools,
    echoed: echoed.content[0].text,
    denied,
    limited: [limited.isError, limited.content[0].text],
  }),
);
