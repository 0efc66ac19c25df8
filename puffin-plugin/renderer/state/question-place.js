/** Where a question stands: in the row of the test or the server that needs it, else over everything. In one place at a time. */

import { NEW, configOf } from './state.js'
import { rowOf } from './test-acceptors.js'

/** @returns {{kind: 'test'|'server'|'row'|'overlay', key?: string}} where, while the panel can be seen */
export function placeOf(state, question) {
  const onShow = key => state.view === 'server' && state.selected === key
  const row = rowOf(state, question)
  if (row && onShow(row.key)) return { kind: 'test', key: row.key }
  const key = row?.key ?? question.configId
  if (!configOf(state, key)) return row?.key === NEW && state.drafts[NEW]?.dirty ? { kind: 'row', key } : { kind: 'overlay' }
  return { kind: onShow(key) ? 'server' : 'row', key }
}

/**
 * @returns {{test: object|null, server: object|null, rows: Map<string, object>}} the question at each place of
 *   the panel; where there are several, the one that was asked first
 */
export function placesOf(state) {
  const places = { test: null, server: null, rows: new Map() }
  for (const question of state.questions) {
    const { kind, key } = placeOf(state, question)
    if (kind === 'row' && !places.rows.has(key)) places.rows.set(key, question)
    else if (kind === 'test' || kind === 'server') places[kind] ??= question
  }
  return places
}

export const NO_PLACES = { test: null, server: null, rows: new Map() }
