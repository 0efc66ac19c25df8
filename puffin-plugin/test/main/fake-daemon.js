'use strict'

/**
 * A daemon that does what its argument says, for tests of the sidecar:
 * `well`, `late` (it answers after its input has ended), `refuse` (its settings), `mute` (no answer, and no
 * end), `crash` (at once).
 */

const { createInterface } = require('node:readline')

const mode = process.argv[2]
const say = message => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)

if (mode === 'crash') {
  process.stderr.write('2026-01-01 ERROR boom\nlast words without an end of line')
  process.exitCode = 7
} else if (mode === 'mute') {
  process.on('SIGTERM', () => {})
  setInterval(() => {}, 1000)
} else {
  process.stderr.write('2026-01-01  WARN a warning\n2026-01-01  INFO a remark\n')
  const answers = {
    initialize: () => (mode === 'refuse' ? null : { vault: { state: 'session-only' } }),
    shutdown: () => ({}),
    'remote-llm/echo': params => params,
    'remote-llm/pid': () => ({ pid: process.pid })
  }
  const held = []
  createInterface({ input: process.stdin })
    .on('line', line => {
      const { id, method, params } = JSON.parse(line)
      if (method === 'remote-llm/die') {
        for (let n = 0; n < 500; n++) say({ method: 'remote-llm/note', params: { n } })
        process.stdout.write('', () => process.exit(3))
        return
      }
      if (id === undefined || !answers[method]) return
      const result = answers[method](params)
      if (mode === 'late') return held.push({ id, result })
      say(result ? { id, result } : { id, error: { code: -32600, message: 'No such version.', data: { code: 'INVALID_REQUEST' } } })
    })
    .on('close', () => {
      held.forEach(say)
      process.stdout.write('', () => process.exit(0))
    })
}
