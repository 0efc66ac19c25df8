/** What a person knows of models: rows of the form, over the profile's `llm.models`. */

import { problemOf, setAt, toForm, toWire } from './fields.js'

const SAID = [['', 'as the server says'], ['yes', 'yes', true], ['no', 'no', false]]
const tokens = (path, label) => ({ path, label, kind: 'number', unit: 'tokens', min: 1, max: 1_000_000_000, placeholder: 'as the server says' })
const ability = (path, label) => ({ path, label, kind: 'select', options: SAID })

export const MODEL_FIELDS = [
  { path: 'id', label: 'Model', kind: 'text', required: true, suggestions: 'models', placeholder: 'as the server spells it' },
  { path: 'name', label: 'Name for people', kind: 'text', placeholder: 'the same' },
  tokens('contextWindow', 'Context window'),
  tokens('maxOutputTokens', 'Longest answer'),
  ability('tools', 'Calls tools'),
  ability('vision', 'Sees images'),
  ability('reasoning', 'Thinks first')
]

/** @param {object} [model] of a profile */
export function modelRow(id, model = {}) {
  return { id, base: model, values: Object.fromEntries(MODEL_FIELDS.map(field => [field.path, toForm(field, model[field.path])])) }
}

/** @returns {Object<string, string>} sentences by field: `model0.contextWindow` … */
export function modelProblems(rows) {
  const problems = {}
  const seen = new Set()
  for (const { id, values } of rows) {
    for (const field of MODEL_FIELDS) {
      const problem = problemOf(field, values[field.path])
      if (problem) problems[`${id}.${field.path}`] = problem
    }
    const name = values.id.trim()
    if (name !== '' && seen.has(name)) problems[`${id}.id`] = 'Model is named twice.'
    seen.add(name)
  }
  return problems
}

/** @returns {object[]} as `configure` takes them; what the form does not show is kept */
export function modelsToWire(rows) {
  return rows.map(({ base, values }) => {
    const model = structuredClone(base)
    for (const field of MODEL_FIELDS) setAt(model, field.path, toWire(field, values[field.path]))
    return model
  })
}
