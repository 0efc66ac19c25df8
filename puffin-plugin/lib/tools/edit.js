/** Edit: one passage of a file becomes another; the passage must be there, and only once. */
'use strict'

const { currentContent } = require('./current')
const { unifiedDiff } = require('./diff')
const { exactText, hasCrlf, toCrlf } = require('./text')
const { isSecret } = require('./sensitive')
const { Fault } = require('./fault')

const MAX_RESULT = 16 * 1024 * 1024 // characters

const definition = {
  name: 'Edit',
  description: 'Replaces a passage of a file of the project. old_string must be exactly what the file holds, ' +
    'without the line numbers that Read shows, and occur once; with replace_all every occurrence is replaced. The user is asked first.',
  readOnly: false,
  input_schema: {
    type: 'object',
    properties: {
      file_path: { type: 'string', description: 'The file: absolute, or relative to the project' },
      old_string: { type: 'string', description: 'The passage to replace; empty makes a new file' },
      new_string: { type: 'string', description: 'What takes its place' },
      replace_all: { type: 'boolean', description: 'Replace every occurrence' }
    },
    required: ['file_path', 'old_string', 'new_string']
  }
}

/** @type {import('./index').Plan} */
async function plan(input, { jail }) {
  const place = await jail.resolve(input.file_path, { write: true })
  const about = { access: 'write', place, subject: place.display, timeoutMs: 20_000 }
  try {
    return { ...about, ...await change(input, place, jail) }
  } catch (fault) {
    if (!isSecret(place.segments)) throw fault
    // What is wrong tells something of the content: only after a person agreed.
    return { ...about, summary: `Edit ${place.display}`, detail: `It would fail: ${fault.message}`, run: () => Promise.reject(fault) }
  }
}

async function change(input, place, jail) {
  const current = await currentContent(jail, place)
  const before = current ? exactText(current.bytes, place.display) : ''
  const { after, count } = replaced(current ? before : undefined, input, place.display)
  const data = Buffer.from(after)
  return {
    summary: current ? `Edit ${place.display}` : `Make the file ${place.display}`,
    detail: count > 1 ? `${count} places are changed.` : current ? 'One place is changed.' : `New file, ${data.length} bytes.`,
    diff: unifiedDiff(place.display, before, after),
    async run() {
      await jail.replaceFile(place, data, { expected: current?.bytes ?? null, mode: current?.mode })
      return current ? `Edited ${place.display}: ${count} ${count === 1 ? 'place' : 'places'} changed.` : `Made ${place.display}.`
    }
  }
}

function replaced(before, { old_string: from, new_string: to, replace_all: all }, name) {
  if (from === to) throw new Fault('TOOL_INVALID_INPUT', 'old_string and new_string are the same: there is nothing to change.')
  if (from === '') {
    if (before) throw new Fault('TOOL_INVALID_INPUT', `${name} exists and is not empty: old_string must be a passage of it.`)
    return { after: to, count: 1 }
  }
  if (before === undefined) throw new Fault('TOOL_INVALID_INPUT', `${name} does not exist. With an empty old_string it is made.`)
  const crlf = hasCrlf(before)
  // What Read shows has no CR: both sides get the file's line ends.
  const passage = before.includes(from) || !crlf ? from : toCrlf(from)
  const { count, lines } = occurrences(before, passage)
  if (count === 0) throw new Fault('TOOL_INVALID_INPUT', notFound(before, from, name))
  if (count > 1 && !all) {
    throw new Fault('TOOL_INVALID_INPUT',
      `old_string occurs ${count} times in ${name} (lines ${lines.join(', ')}). Add surrounding lines to make it unique, or set replace_all.`)
  }
  const instead = crlf ? toCrlf(to) : to
  if (before.length + count * (instead.length - passage.length) > MAX_RESULT) {
    throw new Fault('TOOL_INVALID_INPUT', `${name} would become larger than ${MAX_RESULT} characters: change it with a command.`)
  }
  return { after: before.replaceAll(passage, () => instead), count }
}

/** How often a passage occurs, and on which lines the first ten begin. */
function occurrences(text, passage) {
  const lines = []
  let [count, line, counted] = [0, 1, 0]
  for (let at = text.indexOf(passage); at !== -1; at = text.indexOf(passage, at + passage.length)) {
    count++
    if (lines.length === 10) continue
    for (let end = text.indexOf('\n', counted); end !== -1 && end < at; end = text.indexOf('\n', counted)) {
      line++
      counted = end + 1
    }
    lines.push(line)
  }
  return { count, lines }
}

/** The likeliest mistakes are named, so that the next try can succeed. */
function notFound(before, from, name) {
  if (/^ *\d+\t/.test(from)) return `old_string is not in ${name}: leave out the line numbers that Read shows.`
  const squeeze = text => text.replace(/\s+/g, ' ').trim()
  const near = squeeze(from) !== '' && squeeze(before).includes(squeeze(from))
  return near
    ? `old_string is in ${name} only with other white space. Read the file again and copy the passage exactly.`
    : `old_string is not in ${name}. Read the file again and copy the passage exactly.`
}

module.exports = { definition, plan }
