// A whole host on plain Node: spawns the daemon, asks a model on another machine, runs its tool here.
//   node examples/host.mjs --ssh user@host[:port] --endpoint URL [--model M] [--key FILE] [--accept-host-key]
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'

const text = { type: 'string' }
const { values: args } = parseArgs({
  options: { ssh: text, endpoint: text, model: text, key: text, daemon: text, file: text, 'accept-host-key': { type: 'boolean' } }
})
const [, username, host, port] = /^(?:(.*)@)?([^@]*?)(?::(\d+))?$/.exec(args.ssh ?? '')
const file = args.file ?? new URL(import.meta.url).pathname

const daemon = spawn(args.daemon ?? process.env.REMOTE_LLM_BIN ?? 'puffin-remote-llm', { stdio: ['pipe', 'pipe', 'inherit'] })
const exited = new Promise((resolve, reject) => daemon.on('exit', resolve).on('error', reject))
daemon.stdin.on('error', () => {}) // a daemon that ended is told by its exit
const send = message => daemon.stdin.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\n')

const waiting = new Map()
const call = (method, params = {}) => new Promise((resolve, reject) => {
  waiting.set(waiting.size + 1, { resolve, reject })
  send({ id: waiting.size, method, params })
})

// What the daemon may ask this host for.
const questions = {
  'host/execute-tool': async ({ name, input }) => {
    if (name !== 'Read' || input.path !== file) return { content: `only ${file} may be read`, isError: true }
    return { content: (await readFile(file, 'utf8')).slice(0, 2000) }
  },
  'host/verify-host-key': async ({ host, keyType, fingerprint }) => {
    console.log(`host key of ${host}: ${keyType} ${fingerprint}`)
    return { decision: args['accept-host-key'] ? 'accept-once' : 'reject', fingerprint }
  },
  'host/answer-prompt': async () => {
    const answer = process.env.REMOTE_LLM_PASSWORD
    return answer === undefined ? { cancelled: true } : { answers: [answer] }
  }
}

createInterface({ input: daemon.stdout }).on('line', async line => {
  const { id, method, params, result, error } = JSON.parse(line)
  if (method === 'remote-llm/stream-chunk') {
    const { type, text, name, input } = params.event
    if (type === 'text-delta') process.stdout.write(text)
    if (type === 'tool-call-ready') console.log(`[${name} ${JSON.stringify(input)}]`)
  } else if (method && id !== undefined) {
    const answer = questions[method]
    if (!answer) return send({ id, error: { code: -32601, message: `this host has no ${method}` } })
    answer(params).then(result => send({ id, result }), ({ message }) => send({ id, error: { code: 3002, message } }))
  } else if (!method && error) waiting.get(id)?.reject(Object.assign(new Error(error.message), error))
  else if (!method) waiting.get(id)?.resolve(result)
})

const job = async () => {
  const capabilities = { executeTool: true, verifyHostKey: true, answerPrompt: true }
  await call('initialize', { protocolVersion: 1, client: { name: 'host.mjs', version: '1' }, capabilities })
  const ssh = { host, port: port && Number(port), username, privateKeyPath: args.key }
  await call('remote-llm/configure', { configId: 'example', name: 'Example', ssh, llm: { apiEndpoint: args.endpoint } })
  const test = await call('remote-llm/test-connection', { configId: 'example' })
  for (const { name, status, durationMs, detail } of test.stages) console.log(`${name}: ${status} ${durationMs ?? '-'} ms, ${detail}`)
  if (!test.success) throw new Error(test.error.message)
  const { server, models } = await call('remote-llm/list-models', { configId: 'example' })
  console.log(`${server.kind}: ${models.map(model => `${model.id} (${model.contextWindow.effective ?? '?'} tokens)`).join(', ')}`)
  await call('remote-llm/select-model', { configId: 'example', modelId: args.model ?? models[0].id })
  const path = { type: 'string', enum: [file] }
  const tool = { name: 'Read', description: 'Reads a file.', readOnly: true, inputSchema: { type: 'object', properties: { path }, required: ['path'] } }
  const messages = [{ role: 'user', content: `Read ${file} and say in one sentence what it is.` }]
  const result = await call('remote-llm/stream-prompt', { configId: 'example', requestId: 'first', messages, tools: [tool] })
  console.log(`\n${result.stopReason}: ${result.usage.outputTokens ?? '?'} tokens, ${result.toolCalls} tool calls, ${result.timing.totalMs} ms`)
  await call('shutdown')
}

// The daemon may end first, and then nothing that was asked will ever be answered.
const gone = exited.then(code => { throw new Error(`the daemon ended with ${code}`) })
await Promise.race([job(), gone]).catch(error => {
  console.error(`failed: ${error.message}${error.data?.code ? ` [${error.data.code}]` : ''}`)
  process.exitCode = 1
})
daemon.stdin.end()
await exited.catch(() => {})
