/** The thread of Grep: opens and searches the files. It ends when it has answered, or is ended. */
'use strict'

const { parentPort, workerData } = require('node:worker_threads')
const { readAtMost } = require('./descend')
const { Fault, fromSystem } = require('./fault')
const { globMatcher } = require('./glob-pattern')
const { Jail } = require('./jail')
const { matchesIn, render } = require('./grep-match')
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

async function main({ input, folders, path }) {
  const expression = compile(input)
  const wanted = fileFilter(input)
  const jail = await Jail.open(folders)
  const place = await jail.resolve(path)
  const state = { lines: [], size: 0, limit: input.head_limit ?? DEFAULT_LIMIT, bytes: 0, skipped: { large: 0, secret: 0, unread: 0 } }
  const one = await isFile(jail, place)
  const prefix = place.display === '.' ? '' : `${place.display}/`
  const walk = new Walk(jail, place)
  if (one) {
    await searchFile(() => jail.openFile(place), place.display, { expression, input, state })
  } else {
    for await (const found of walk.files()) {
      if (!wanted(found.path)) continue
      if (found.secret) state.skipped.secret++
      else await searchFile(() => found.folder.openFile(found.name), prefix + found.path, { expression, input, state })
      if (isFull(state)) break
    }
  }
  return present(state, walk)
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

async function searchFile(open, name, { expression, input, state }) {
  let bytes
  try {
    const handle = await open()
    try {
      bytes = await readAtMost(handle, MAX_FILE + 1)
    } finally {
      await handle.close()
    }
  } catch {
    state.skipped.unread++
    return
  }
  state.bytes += bytes.length
  if (bytes.length > MAX_FILE) {
    state.skipped.large++
    return
  }
  if (bytes.length === 0 || binaryKind(bytes)) return
  parentPort.postMessage({ file: name })
  const text = new TextDecoder().decode(bytes)
  const matches = matchesIn(text, expression, input)
  for (const line of render(name, text, matches, input)) {
    if (isFull(state)) return
    state.lines.push(line)
    state.size += line.length * 2
  }
}

function isFull(state) {
  return state.lines.length >= state.limit || state.size >= MAX_OUTPUT || state.bytes >= MAX_BYTES
}

function present(state, walk) {
  const { large, secret, unread } = state.skipped
  return [
    ...state.lines,
    state.lines.length === 0 && 'No match.',
    isFull(state) && '[there may be more: the search stopped here; narrow it, or raise head_limit]',
    large > 0 && `[${large} files larger than ${MAX_FILE} bytes were left out]`,
    secret > 0 && `[${secret} files that may hold secrets were left out]`,
    unread > 0 && `[${unread} files could not be read]`,
    walk.note()
  ].filter(Boolean).join('\n')
}

main(workerData).then(
  content => parentPort.postMessage({ content }),
  error => {
    const { code, message } = fromSystem(error, 'The search')
    parentPort.postMessage({ fault: { code, message } })
  }
)
