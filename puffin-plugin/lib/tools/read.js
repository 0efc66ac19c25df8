/** Read: lines of a text file with their numbers. Reads as it goes, so the file may be large. */
'use strict'

const { binaryKind } = require('./text')
const { Fault } = require('./fault')

const DEFAULT_LINES = 2000
const MAX_LINE_CHARACTERS = 2000
const MAX_LINE_BYTES = 4 * MAX_LINE_CHARACTERS
const MAX_SCAN = 256 * 1024 * 1024
const MAX_SHOWN = 240 * 1024
const CHUNK = 64 * 1024

const definition = {
  name: 'Read',
  description: 'Reads a text file of the project and shows its lines with their numbers. Up to 2000 lines at a time; ' +
    'use offset and limit for more. Longer lines are cut at 2000 characters.',
  readOnly: true,
  input_schema: {
    type: 'object',
    properties: {
      file_path: { type: 'string', description: 'The file: absolute, or relative to the project' },
      offset: { type: 'integer', minimum: 0, description: 'The first line to read, from 1' },
      limit: { type: 'integer', minimum: 1, maximum: 100000, description: 'How many lines to read' }
    },
    required: ['file_path']
  }
}

/** @type {import('./index').Plan} */
async function plan(input, { jail }) {
  const place = await jail.resolve(input.file_path)
  return {
    access: 'read',
    place,
    subject: place.display,
    summary: `Read ${place.display}`,
    timeoutMs: 20_000,
    run: signal => read(jail, place, Math.max(1, input.offset ?? 1), input.limit ?? DEFAULT_LINES, signal)
  }
}

async function read(jail, place, first, limit, signal) {
  const handle = await jail.openFile(place)
  try {
    const { size } = await handle.stat()
    const start = Buffer.alloc(8192)
    const { bytesRead } = await handle.read(start, 0, start.length, 0)
    const kind = binaryKind(start.subarray(0, bytesRead))
    if (kind) return `${place.display} is ${kind} (${size} bytes); it is not shown.`
    const found = await collect(handle, first, limit, signal)
    return present(found, place, first, size)
  } finally {
    await handle.close()
  }
}

/** Goes through the file until the lines are found; holds only those. */
async function collect(handle, first, limit, signal) {
  const lines = []
  let number = 1
  let line = []
  let lineBytes = 0
  let position = 0
  let shown = 0
  let crlf = false
  let ended = true
  const endLine = () => {
    if (number >= first) {
      let text = decode(Buffer.concat(line))
      if (text.endsWith('\r')) {
        crlf = true
        text = text.slice(0, -1)
      }
      if (text.length > MAX_LINE_CHARACTERS || lineBytes > MAX_LINE_BYTES) text = `${text.slice(0, MAX_LINE_CHARACTERS)}… [line cut]`
      lines.push(text)
      shown += Buffer.byteLength(text) + 8
    }
    number++
    line = []
    lineBytes = 0
  }
  const full = () => lines.length >= limit || shown >= MAX_SHOWN
  while (!full()) {
    signal?.throwIfAborted()
    if (position >= MAX_SCAN) throw new Fault('TOOL_INVALID_INPUT', `The file goes on after ${MAX_SCAN} bytes, which is as far as this tool reads. Use Grep.`)
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK, position)
    if (bytesRead === 0) break
    position += bytesRead
    let from = 0
    while (from < bytesRead && !full()) {
      const newline = buffer.subarray(0, bytesRead).indexOf(10, from)
      const to = newline === -1 ? bytesRead : newline
      if (number >= first && lineBytes < MAX_LINE_BYTES + 4) line.push(buffer.subarray(from, Math.min(to, from + MAX_LINE_BYTES + 4)))
      lineBytes += to - from
      ended = newline !== -1
      if (ended) endLine()
      from = to + 1
    }
  }
  const more = full()
  if (!more && (lineBytes > 0 || !ended)) endLine()
  return { lines, more, count: number - 1, crlf }
}

function present({ lines, more, count, crlf }, place, first, size) {
  if (size === 0) return `${place.display} is empty.`
  if (lines.length === 0) return `${place.display} has ${count} lines; there is none from ${first} on.`
  const width = Math.max(6, String(first + lines.length).length)
  const notes = []
  if (more) notes.push(`[up to line ${first + lines.length - 1}; read on with offset ${first + lines.length}]`)
  if (crlf) notes.push('[lines end in CRLF; Write and Edit keep that]')
  return [...lines.map((text, index) => `${String(first + index).padStart(width)}\t${text}`), ...notes].join('\n')
}

function decode(bytes) {
  return new TextDecoder('utf-8').decode(bytes)
}

module.exports = { definition, plan }
