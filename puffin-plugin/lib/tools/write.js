/** Write: a file's whole new content, put in place in one step. */
'use strict'

const { currentContent } = require('./current')
const { unifiedDiff } = require('./diff')
const { hasCrlf, toCrlf, binaryKind } = require('./text')
const { Fault } = require('./fault')

const MAX_CONTENT = 8 * 1024 * 1024

const definition = {
  name: 'Write',
  description: 'Writes a file of the project, in place of what was there; folders are made as needed. ' +
    'To change a part of a file use Edit. The user is asked first.',
  readOnly: false,
  input_schema: {
    type: 'object',
    properties: {
      file_path: { type: 'string', description: 'The file: absolute, or relative to the project' },
      content: { type: 'string', description: 'The whole new content' }
    },
    required: ['file_path', 'content']
  }
}

/** @type {import('./index').Plan} */
async function plan(input, { jail }) {
  const place = await jail.resolve(input.file_path, { write: true })
  if (Buffer.byteLength(input.content) > MAX_CONTENT) {
    throw new Fault('TOOL_INVALID_INPUT', `The content is larger than ${MAX_CONTENT} bytes: write it in parts, or with a command.`)
  }
  const current = await currentContent(jail, place)
  const before = current ? lossy(current.bytes) : ''
  const crlf = current !== undefined && hasCrlf(before)
  const after = crlf ? toCrlf(input.content) : input.content
  const data = Buffer.from(after)
  return {
    access: 'write',
    place,
    subject: place.display,
    summary: current ? `Replace the content of ${place.display}` : `Make the file ${place.display}`,
    detail: describe(current, data),
    diff: unifiedDiff(place.display, before, after),
    timeoutMs: 20_000,
    async run() {
      await jail.replaceFile(place, data, { expected: current?.bytes ?? null, mode: current?.mode })
      return `${current ? 'Replaced' : 'Made'} ${place.display}: ${data.length} bytes${crlf ? ', lines end in CRLF as before' : ''}.`
    }
  }
}

function describe(current, data) {
  if (!current) return `New file, ${data.length} bytes.`
  const kind = binaryKind(current.bytes)
  return `${current.bytes.length} bytes${kind ? ` of ${kind}` : ''} become ${data.length} bytes.`
}

function lossy(bytes) {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}

module.exports = { definition, plan }
