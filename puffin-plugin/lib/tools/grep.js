/**
 * Grep: lines of the project's files that fit a regular expression. The work is done in a thread of its own
 * that can be ended: a regular expression may take for ever.
 */
'use strict'

const path = require('node:path')
const { Worker } = require('node:worker_threads')
const { Fault } = require('./fault')
const { visible } = require('./output')

const TIMEOUT_MS = 30_000

const definition = {
  name: 'Grep',
  description: 'Searches files of the project with a regular expression (JavaScript syntax). Shows the files that have a match, ' +
    'or the lines with output_mode "content", or how many with "count". Files that may hold secrets, binary files, .git and node_modules are left out.',
  readOnly: true,
  input_schema: {
    type: 'object',
    properties: {
      pattern: { type: 'string', description: 'The regular expression' },
      path: { type: 'string', description: 'A file or folder; the project if not given' },
      glob: { type: 'string', description: 'Only files of this pattern: "*.js", "src/**/*.ts"' },
      type: { type: 'string', description: 'Only files of this kind: js, ts, py, rust, go, java, c, cpp, md, json, html, css, sh, yaml' },
      output_mode: { type: 'string', enum: ['content', 'files_with_matches', 'count'], description: 'files_with_matches if not given' },
      '-i': { type: 'boolean', description: 'Regardless of case' },
      '-n': { type: 'boolean', description: 'With line numbers (content); yes if not given' },
      '-A': { type: 'integer', minimum: 0, maximum: 50, description: 'Lines after each match (content)' },
      '-B': { type: 'integer', minimum: 0, maximum: 50, description: 'Lines before each match (content)' },
      '-C': { type: 'integer', minimum: 0, maximum: 50, description: 'Lines before and after each match (content)' },
      multiline: { type: 'boolean', description: 'Matches may go over several lines, and . fits line ends' },
      head_limit: { type: 'integer', minimum: 1, maximum: 5000, description: 'At most so many lines or files; 250 if not given' }
    },
    required: ['pattern']
  }
}

/** @type {import('./index').Plan} */
async function plan(input, { jail, folders, grepTimeoutMs = TIMEOUT_MS }) {
  const place = await jail.resolve(input.path ?? '.')
  return {
    access: 'read',
    place,
    subject: place.display,
    summary: `Search ${place.display} for ${input.pattern}`,
    timeoutMs: grepTimeoutMs + 5000,
    run: signal => search({ input, folders, path: place.path }, grepTimeoutMs, signal)
  }
}

/** Which file the thread was at. */
function lastFile(where) {
  const length = Math.min(new DataView(where).getUint32(0), where.byteLength - 4)
  return visible(new TextDecoder().decode(Uint8Array.from(new Uint8Array(where, 4, length))))
}

/** @returns {Promise<string>} when it settles, the thread is gone */
async function search(job, timeoutMs, signal) {
  const where = new SharedArrayBuffer(1024)
  const worker = new Worker(path.join(__dirname, 'grep-worker.js'), {
    workerData: { ...job, where }, env: {}, stdout: true, stderr: true, resourceLimits: { maxOldGenerationSizeMb: 512 }
  })
  const settled = new AbortController()
  try {
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const file = lastFile(where)
        reject(new Fault('TOOL_TIMEOUT', `The search was ended after ${timeoutMs / 1000} s${file && `, in ${file}`}. ` +
          'The expression may be one that takes for ever (nested repetition): make it simpler, or name a smaller folder.'))
      }, timeoutMs)
      settled.signal.addEventListener('abort', () => clearTimeout(timer))
      signal.addEventListener('abort', () => reject(new Fault('TOOL_CANCELLED', 'The search was cancelled.')), { signal: settled.signal })
      worker.on('message', ({ content, fault }) => {
        if (fault) reject(new Fault(fault.code, fault.message))
        else resolve(content)
      })
      worker.on('error', error => reject(new Fault('TOOL_EXECUTION_FAILED', error.code === 'ERR_WORKER_OUT_OF_MEMORY'
        ? 'The search needed too much memory: make the expression simpler.' : 'The search failed because of a defect in it.')))
      worker.on('exit', () => reject(new Fault('TOOL_EXECUTION_FAILED', 'The search ended without an answer.')))
    })
  } finally {
    settled.abort()
    await worker.terminate()
  }
}

module.exports = { definition, plan }
