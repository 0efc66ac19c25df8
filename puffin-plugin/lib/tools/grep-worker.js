/** The thread of Grep: opens and searches the files. It ends when it has answered, or is ended. */
'use strict'

const { parentPort, workerData } = require('node:worker_threads')
const { Fault, fromSystem } = require('./fault')
const { globMatcher } = require('./glob-pattern')
const { Jail } = require('./jail')
const { matchesIn, render } = require('./grep-match')
const { readInto } = require('./grep-read')
const { binaryKind } = require('./text')
const { Walk } = require('./walk')

const MAX_FILE = 4 * 1024 * 1024
const MAX_BYTES = 1024 * 1024 * 1024
const MAX_OUTPUT = 240 * 1024
const DEFAULT_LIMIT = 250

const EXTENSIONS = {
  js: 'js,jsx,mjs,cjs', ts: 'ts,tsx,mts,cts', py: 'py,pyi', rust: 'rs', go: 'go', java: 'java', c: 'c,h', cpp: 'cc,cpp,cxx,hh,hpp,hxx,h,inl',
  md: 'md,markdown', json: 'json,jsonc', html: 'html,htm', css: 'css,scss,less', sh: 'sh,bash,zsh', yaml: 'yaml,yml', toml: 'toml', rb: 'rb',
  php: 'php', cs: 'cs', swift: 'swift', kotlin: 'kt,kts', sql: 'sql', xml: 'xml', vue: 'vue', svelte: 'svelte'
}

const where = new Uint8Array(workerData.where)
const scratch = Buffer.allocUnsafe(MAX_FILE + 1)

async function main({ input, folders, path }) {
  const expression = compile(input)
  const wanted = fileFilter(input)
  const jail = await Jail.open(folders)
  const place = await jail.resolve(path)
  const state = { lines: [], size: 0, limit: input.head_limit ?? DEFAULT_LIMIT, bytes: 0, skipped: { large: 0, secret: 0, unread: 0 } }
  const job = { expression, input, state }
  if (await isFile(jail, place)) {
    const parent = await jail.openFolder({ ...place, segments: place.segments.slice(0, -1) })
    searchFile(parent, place.segments.at(-1), place.display, job)
    await parent.close()
    return present(state, '')
  }
  const prefix = place.display === '.' ? '' : `${place.display}/`
  const walk = new Walk(jail, place)
  for await (const found of walk.files()) {
    if (!wanted(found.path)) continue
    if (found.secret) state.skipped.secret++
    else searchFile(found.folder, found.name, prefix + found.path, job)
    if (isFull(state)) break
  }
  return present(state, walk.note())
}

function compile({ pattern, '-i': caseless, multiline }) {
  const inline = /^\(\?i\)/.test(pattern)
  const source = inline ? pattern.slice(4) : pattern
  const flags = `g${caseless || inline ? 'i' : ''}${multiline ? 'ms' : ''}`
  try {
    return new RegExp(source, flags)
  } catch (error) {
    throw new Fault('TOOL_INVALID_INPUT', `The pattern is not a regular expression: ${error.message.slice(0, 300)}`)
  }
}

/** As in ripgrep: a pattern without `/` is for the file's name alone. */
function fileFilter({ glob, type }) {
  const fits = []
  if (glob !== undefined) fits.push(globMatcher(glob.includes('/') ? glob : `**/${glob}`))
  if (type !== undefined) {
    if (!Object.hasOwn(EXTENSIONS, type)) throw new Fault('TOOL_INVALID_INPUT', `The type ${type.slice(0, 20)} is not known; use glob.`)
    fits.push(globMatcher(`**/*.{${EXTENSIONS[type]},}`))
  }
  return path => fits.every(fit => fit(path))
}

async function isFile(jail, place) {
  try {
    await (await jail.openFile(place)).close()
    return true
  } catch (error) {
    if (place.exists && error.code === 'TOOL_INVALID_INPUT') return false
    throw error
  }
}

function searchFile(folder, name, display, { expression, input, state }) {
  let length
  try {
    length = readInto(folder, name, scratch)
  } catch {} // counted below
  if (length === undefined) {
    state.skipped.unread++
    return
  }
  state.bytes += length
  if (length > MAX_FILE) {
    state.skipped.large++
    return
  }
  const bytes = scratch.subarray(0, length)
  if (length === 0 || binaryKind(bytes)) return
  tellWhere(display)
  const text = bytes.toString('utf8')
  for (const line of render(display, text, matchesIn(text, expression, input), input)) {
    if (isFull(state)) return
    state.lines.push(line)
    state.size += line.length * 2
  }
}

/** Leaves the name where the other thread finds it, should this one have to be ended. */
function tellWhere(display) {
  const { written } = new TextEncoder().encodeInto(display, where.subarray(4))
  new DataView(where.buffer).setUint32(0, written)
}

function isFull(state) {
  return state.lines.length >= state.limit || state.size >= MAX_OUTPUT || state.bytes >= MAX_BYTES
}

function present(state, note) {
  const { large, secret, unread } = state.skipped
  return [
    ...state.lines,
    state.lines.length === 0 && 'No match.',
    isFull(state) && '[there may be more: the search stopped here; narrow it, or raise head_limit]',
    large > 0 && `[${large} files larger than ${MAX_FILE} bytes were left out]`,
    secret > 0 && `[${secret} files that may hold secrets were left out]`,
    unread > 0 && `[${unread} files could not be read]`,
    note
  ].filter(Boolean).join('\n')
}

main(workerData).then(
  content => parentPort.postMessage({ content }),
  error => {
    const { code, message } = fromSystem(error, 'The search')
    parentPort.postMessage({ fault: { code, message } })
  }
)
