/** Glob: files of the project by the pattern of their path, the newest first. */
'use strict'

const fs = require('./fs').promises
const { globMatcher } = require('./glob-pattern')
const { Walk } = require('./walk')

const MAX_SHOWN = 200
const MAX_KEPT = 20_000

const definition = {
  name: 'Glob',
  description: 'Finds files of the project by a pattern ("**/*.js", "src/**/*.{ts,tsx}"), the last changed first. ' +
    'Does not look into .git, node_modules and the like unless path names them, and follows no links.',
  readOnly: true,
  input_schema: {
    type: 'object',
    properties: {
      pattern: { type: 'string', description: 'The pattern, relative to path' },
      path: { type: 'string', description: 'The folder to look in; the project if not given' }
    },
    required: ['pattern']
  }
}

/** @type {import('./index').Plan} */
async function plan(input, { jail }) {
  const place = await jail.resolve(input.path ?? '.')
  const fits = globMatcher(input.pattern)
  return {
    access: 'read',
    place,
    subject: place.display,
    summary: `Find ${input.pattern} in ${place.display}`,
    timeoutMs: 20_000,
    run: signal => find(jail, place, fits, signal)
  }
}

async function find(jail, place, fits, signal) {
  const walk = new Walk(jail, place, { signal })
  const found = []
  let more = 0
  for await (const { folder, name, path } of walk.files()) {
    if (!fits(path)) continue
    if (found.length >= MAX_KEPT) more++
    else found.push({ path, changed: (await fs.lstat(folder.at(name)).catch(() => undefined))?.mtimeMs ?? 0 })
  }
  found.sort((a, b) => b.changed - a.changed || (a.path < b.path ? -1 : 1))
  const prefix = place.display === '.' ? '' : `${place.display}/`
  const total = found.length + more
  return [
    ...found.slice(0, MAX_SHOWN).map(({ path }) => prefix + path),
    total === 0 && 'No file fits.',
    total > MAX_SHOWN && `[${total - MAX_SHOWN} more fit; use a narrower pattern]`,
    walk.note()
  ].filter(Boolean).join('\n')
}

module.exports = { definition, plan }
