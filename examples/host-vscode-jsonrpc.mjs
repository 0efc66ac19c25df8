// The same host as host.mjs, for apps that speak JSON-RPC through the vscode-jsonrpc library. The library frames
// messages with Content-Length, the daemon with line ends: the two classes below are all that lies in between.
//   npm ci --prefix examples
//   node examples/host-vscode-jsonrpc.mjs --ssh user@host[:port] --endpoint URL [--model M] [--key FILE] [--accept-host-key]
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { StringDecoder } from 'node:string_decoder'
import { parseArgs } from 'node:util'
import rpc from 'vscode-jsonrpc/node'

/** One JSON object a line, read. */
class LineReader extends rpc.AbstractMessageReader {
  constructor(stream) {
    super()
    this.stream = stream
  }

  listen(callback) {
    const decoder = new StringDecoder('utf8')
    let parts = []
    const onData = chunk => {
      const [first, ...rest] = decoder.write(chunk).split('\n')
      parts.push(first)
      for (const next of rest) {
        const line = parts.join('')
        parts = [next]
        if (line.trim()) this.receive(line, callback)
      }
    }
    this.stream.on('data', onData).on('error', error => this.fireError(error)).on('close', () => this.fireClose())
    return { dispose: () => this.stream.off('data', onData) }
  }

  receive(line, callback) {
    try {
      callback(JSON.parse(line))
    } catch (error) {
      this.fireError(error)
    }
  }
}

/** One JSON object a line, written. */
class LineWriter extends rpc.AbstractMessageWriter {
  constructor(stream) {
    super()
    this.stream = stream
    stream.on('error', error => this.fireError(error)).on('close', () => this.fireClose())
  }

  write(message) {
    return new Promise((resolve, reject) => {
      this.stream.write(`${JSON.stringify(message)}\n`, error => error ? reject(error) : resolve())
    })
  }

  end() {
    this.stream.end()
  }
}

const text = { type: 'string' }
const { values: args } = parseArgs({
  options: { ssh: text, endpoint: text, model: text, key: text, daemon: text, file: text, 'accept-host-key': { type: 'boolean' } }
})
const [, username, host, port] = /^(?:(.*)@)?([^@]*?)(?::(\d+))?$/.exec(args.ssh ?? '')
const file = args.file ?? new URL(import.meta.url).pathname

const daemon = spawn(args.daemon ?? process.env.REMOTE_LLM_BIN ?? 'puffin-remote-llm', { stdio: ['pipe', 'pipe', 'inherit'] })
const exited = new Promise((resolve, reject) => daemon.on('exit', resolve).on('error', reject))
const connection = rpc.createMessageConnection(new LineReader(daemon.stdout), new LineWriter(daemon.stdin))

// What the daemon may ask this host for. The token tells that it is not interested any more; what is not
// answered here, the library answers with "method not found".
connection.onRequest('host/execute-tool', async ({ name, input }, token) => {
  if (name !== 'Read') throw new rpc.ResponseError(3001, `there is no tool ${name}`, { code: 'TOOL_NOT_FOUND' })
  if (input.path !== file) return { content: `only ${file} may be read`, isError: true }
  const stop = new AbortController()
  token.onCancellationRequested(() => stop.abort())
  return { content: (await readFile(file, { encoding: 'utf8', signal: stop.signal })).slice(0, 2000) }
})
connection.onRequest('host/verify-host-key', ({ host, keyType, fingerprint }) => {
  console.log(`host key of ${host}: ${keyType} ${fingerprint}`)
  return { decision: args['accept-host-key'] ? 'accept-once' : 'reject', fingerprint }
})
connection.onRequest('host/answer-prompt', () => {
  const answer = process.env.REMOTE_LLM_PASSWORD
  return answer === undefined ? { cancelled: true } : { answers: [answer] }
})
connection.onNotification('remote-llm/stream-chunk', ({ event }) => {
  if (event.type === 'text-delta') process.stdout.write(event.text)
  if (event.type === 'tool-call-ready') console.log(`[${event.name} ${JSON.stringify(event.input)}]`)
})
connection.onError(([error]) => console.error(`not understood: ${error.message}`))
connection.listen()

// Ctrl+C stops what runs, and the daemon answers that it was cancelled (-32800).
const stop = new rpc.CancellationTokenSource()
process.once('SIGINT', () => stop.cancel())
const call = (method, params = {}) => connection.sendRequest(method, params, stop.token)

const job = async () => {
  const capabilities = { executeTool: true, verifyHostKey: true, answerPrompt: true }
  await call('initialize', { protocolVersion: 1, client: { name: 'host-vscode-jsonrpc.mjs', version: '1' }, capabilities })
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
}

// The daemon may end first, and then nothing that was asked will ever be answered.
const gone = exited.then(code => { throw new Error(`the daemon ended with ${code}`) })
await Promise.race([job(), gone]).catch(error => {
  console.error(`failed: ${error.message}${error.data?.code ? ` [${error.data.code}]` : ''}`)
  process.exitCode = 1
})
await Promise.race([connection.sendRequest('shutdown', {}), gone]).catch(() => {})
connection.end()
await exited.catch(() => {})
connection.dispose()
