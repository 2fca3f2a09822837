// An MCP server over standard input and output that misbehaves as it is told. What it is told stands in a
// file that is read anew for every message, so that it also counts for those that are started later:
// { start, initialize, list, call, tools, once } - `once` makes the first misbehaviour the only one.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { spawn } = require('node:child_process');

const dir = process.argv[2];
const note = (what) => fs.appendFileSync(path.join(dir, 'seen'), what + '\n');

function orders() {
  try {
    return JSON.parse(fs.readFileSync(path.join(dir, 'orders'), 'utf8'));
  } catch {
    return {};
  }
}

/// What is ordered at this point, which is told no second time where once is enough.
function order(point) {
  const all = orders();
  const what = all[point];
  if (what && all.once) {
    const { [point]: _, ...rest } = all;
    fs.writeFileSync(path.join(dir, 'orders.new'), JSON.stringify(rest));
    fs.renameSync(path.join(dir, 'orders.new'), path.join(dir, 'orders'));
  }
  return what;
}

const write = (text) => fs.writeSync(1, text);
const send = (message) => write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\n');
const kill = () => process.kill(process.pid, 'SIGKILL');

function flood(text, bytes) {
  const chunk = text.repeat(Math.ceil(65536 / text.length));
  for (let sent = 0; sent < bytes; sent += chunk.length) write(chunk);
}

function grandchild() {
  const child = spawn('/bin/sh', ['-c', 'while :; do sleep 1; done', 'grandchild'], { stdio: 'inherit' });
  fs.writeFileSync(path.join(dir, 'grandchild'), String(child.pid));
}

const begin = {
  exit() {
    process.stderr.write('there is no licence\n');
    process.exit(3);
  },
  stderr() {
    const line = 'a complaint that nobody asked for\n'.repeat(100);
    const more = () => process.stderr.write(line, () => setImmediate(more));
    more();
  },
  garbage() {
    fs.writeSync(1, Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 37) % 256)));
    write('\n{"jsonrpc":"2.0","id":\n\n[1,2\n');
  },
  grandchild,
  stubborn() {
    process.on('SIGTERM', () => note('SIGTERM'));
    setInterval(() => {}, 1000);
  },
};

const text = (id, text) => ({ id, result: { content: [{ type: 'text', text }] } });

const call = {
  hang() {},
  die: kill,
  exit: () => process.exit(1),
  malformed: () => write('{"jsonrpc":"2.0","id":}\n'),
  wrong_id: (id) => send(text(id + 1000000, 'not yours')),
  twice(id) {
    send(text(id, 'done'));
    send(text(id, 'done again'));
  },
  huge(id) {
    write(`{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"`);
    flood('x', 100 * 1024 * 1024);
    write('"}]}}\n');
  },
  unsolicited(id) {
    for (let i = 0; i < 100; i++) send(text(9000000 + i, 'nobody asked'));
    send({ id: 'mine', method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } });
    send({ id: null, error: { code: -32000, message: 'to nobody' } });
    send(text(id, 'done'));
  },
  changes(id) {
    for (let i = 0; i < 5000; i++) send({ method: 'notifications/tools/list_changed' });
    send(text(id, 'done'));
  },
  fails: (id) => send({ id, result: { isError: true, content: [{ type: 'text', text: 'it did not work' }] } }),
  refuses: (id) => send({ id, error: { code: -32603, message: 'not today' } }),
  normal: (id) => send(text(id, 'done')),
};

function list(id, params) {
  const names = orders().tools || ['t'];
  const tool = (name) => ({ name, inputSchema: { type: 'object' } });
  const what = order('list');
  if (what === 'hang') return;
  if (what === 'die') return kill();
  if (what !== 'endless') return send({ id, result: { tools: names.map(tool) } });
  const page = Number((params && params.cursor) || 0);
  const tools = page === 0 ? names.map(tool) : [tool(`t${page}`)];
  send({ id, result: { tools, nextCursor: String(page + 1) } });
}

function answer({ id, method, params }) {
  note(method);
  if (id === undefined) return;
  switch (method) {
    case 'initialize': {
      const what = order('initialize');
      if (what === 'die') return kill();
      if (what === 'hang') return;
      const info = { name: 'chaos', version: '1' };
      return send({ id, result: { protocolVersion: '2025-11-25', capabilities: { tools: { listChanged: true } }, serverInfo: info } });
    }
    case 'tools/list':
      return list(id, params);
    case 'tools/call':
      return call[order('call') || 'normal'](id);
    case 'ping':
      return order('ping') === 'hang' ? undefined : send({ id, result: {} });
    default:
      return send({ id, error: { code: -32601, message: 'no such method' } });
  }
}

fs.appendFileSync(path.join(dir, 'pids'), process.pid + '\n');
const start = order('start');
if (start) begin[start]();
const lines = require('node:readline').createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const message = JSON.parse(line);
  if (message.method) answer(message);
});
if (start !== 'stubborn') lines.on('close', () => process.exit(0));
fs.watchFile(path.join(dir, 'announce'), { interval: 20 }, () => send({ method: 'notifications/tools/list_changed' }));
