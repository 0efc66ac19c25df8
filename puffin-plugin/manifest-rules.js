'use strict'

/**
 * What Puffin's plugin loader accepts in `puffin-plugin.json`, as far as it has an effect: one key that it
 * does not know, at the top or below, and the plugin is not loaded. `pack` and the tests look here first.
 */

const text = (pattern, most = Infinity) => value => {
  if (typeof value !== 'string') return 'is no text'
  if (value.length > most) return `is longer than ${most}`
  return pattern.test(value) ? null : `does not fit ${pattern}`
}
const flag = value => (typeof value === 'boolean' ? null : 'is neither true nor false')
const number = (least, most) => value => (Number.isInteger(value) && value >= least && value <= most ? null : `is not between ${least} and ${most}`)
const oneOf = (...allowed) => value => (allowed.includes(value) ? null : `is none of ${allowed.join(', ')}`)
const list = (rule, most = Infinity) => value => {
  if (!Array.isArray(value)) return 'is no list'
  if (value.length > most) return `has more than ${most}`
  if (new Set(value.map(item => JSON.stringify(item))).size < value.length) return 'has one thing twice'
  return first(value.map((item, n) => [n, rule(item)]))
}
/** Keys that end in `!` are required; others than these are refused. */
const object = fields => value => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'is no object'
  const rules = new Map(Object.entries(fields).map(([key, rule]) => [key.replace('!', ''), rule]))
  const missing = Object.keys(fields).filter(key => key.endsWith('!')).map(key => key.slice(0, -1)).find(key => !(key in value))
  if (missing) return `has no ${missing}`
  return first(Object.entries(value).map(([key, item]) => [key, rules.has(key) ? rules.get(key)(item) : 'is not expected there']))
}
const map = rule => value => first(Object.entries(value).map(([key, item]) => [key, rule(item)]))

/** @returns {string|null} the first fault, with the way to it */
function first(results) {
  const [key, fault] = results.find(([, found]) => found !== null) ?? []
  return fault === undefined ? null : `${key}${/^(is|has|does) /.test(fault) ? ' ' : '.'}${fault}`
}

const any = (most = Infinity) => text(/./, most)
const uri = text(/^https?:\/\/\S+$/)
const identifier = text(/^[a-zA-Z][a-zA-Z0-9_]*$/)
const relative = text(/^(?!\/)(?!.*\.\.)[a-zA-Z0-9_./-]+$/)
const version = text(/^>=\d+\.\d+\.\d+$/)
const pascal = text(/^[A-Z][a-zA-Z0-9]*$/, 100)

const manifest = object({
  'name!': text(/^[a-z][a-z0-9-]*$/, 214),
  'version!': text(/^\d+\.\d+\.\d+(-[a-zA-Z0-9.-]+)?(\+[a-zA-Z0-9.-]+)?$/),
  'displayName!': text(/./, 50),
  'description!': text(/./, 500),
  'main!': relative,
  author: any(),
  license: any(),
  repository: uri,
  homepage: uri,
  bugs: uri,
  keywords: list(text(/^[a-zA-Z0-9-]+$/, 50), 20),
  engines: object({ puffin: version, node: version }),
  dependencies: map(text(/^[><=^~]*\d+\.\d+\.\d+$/)),
  activationEvents: list(any()),
  extensionPoints: object({
    ipcHandlers: list(text(/^[a-z][a-z0-9-]*:[a-zA-Z][a-zA-Z0-9_-]*$/)),
    actions: list(identifier),
    acceptors: list(identifier),
    reactors: list(identifier),
    components: list(text(/^[a-zA-Z][a-zA-Z0-9-]*$/))
  }),
  renderer: object({
    'entry!': text(/^[a-zA-Z0-9_./-]+\.(js|mjs)$/, 255),
    components: list(object({ 'name!': pascal, 'export!': text(/^[a-zA-Z_$][a-zA-Z0-9_$]*$/, 100), type: oneOf('class', 'function', 'factory'), description: any(200) }), 50),
    styles: list(text(/^[a-zA-Z0-9_./-]+\.css$/, 255), 20),
    preload: flag,
    sandbox: flag
  }),
  contributes: object({
    // Puffin draws these two places only, and at 90 its bar is full.
    views: list(object({ 'id!': text(/^[a-z][a-z0-9-]*$/, 50), 'name!': any(50), 'location!': oneOf('nav', 'sidebar'), icon: any(100), order: number(0, 89), when: any(200), component: pascal }), 20)
  }),
  capabilities: object({ fileRead: flag, fileWrite: flag, network: flag, shell: flag })
})

/**
 * @param {object} value the parsed `puffin-plugin.json`
 * @returns {string|null} the first thing that Puffin would refuse, with its place; null: none
 */
function faultOf(value) {
  return manifest(value) ?? componentFault(value)
}

function componentFault({ contributes, renderer }) {
  const names = new Set((renderer?.components ?? []).map(({ name }) => name))
  const lost = (contributes?.views ?? []).find(({ component }) => component !== undefined && !names.has(component))
  return lost ? `contributes.views ${lost.id} has the component ${lost.component}, which renderer.components has not` : null
}

/** @returns {string[]} files, relative to the plugin, that the manifest names */
function filesOf({ main, renderer }) {
  return [main, ...(renderer ? [renderer.entry, ...(renderer.styles ?? [])] : [])]
}

module.exports = { faultOf, filesOf }
