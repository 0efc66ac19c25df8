/** What is selected and what the form holds. */

import { NEW, configOf, withKey } from './state.js'
import { placeOfField } from './refusal.js'
import { draftOf, filled, withHop, withModel } from './draft.js'

/** Fields that are not under "More". */
const IN_SIGHT = /^(ssh\.(host|username|authMethod|privateKeyPath|certificatePath|identityAgent|identitiesOnly)|llm\.apiEndpoint)$/

export const draftAcceptors = {
  SERVER_SELECTED(state, { key }) {
    if (key === null) return { ...state, selected: null }
    const config = configOf(state, key)
    if (!config && key !== NEW) return state
    const drafts = state.drafts[key] ? state.drafts : withKey(state.drafts, key, draftOf(config ?? null))
    return { ...state, view: 'server', selected: key, drafts, notice: null }
  },

  DRAFT_FIELD_CHANGED(state, { key, section, path, value }) {
    return changed(state, key, draft => {
      if (section === 'name') return { ...draft, name: value }
      if (section === 'ssh' || section === 'llm') return { ...draft, [section]: { ...draft[section], [path]: value } }
      const rows = list => list.map(row => (row.id === section ? { ...row, values: { ...row.values, [path]: value } } : row))
      return section.startsWith('model') ? { ...draft, models: rows(draft.models) } : { ...draft, hops: rows(draft.hops) }
    })
  },
  DRAFT_SECRET_CHANGED(state, { key, path, fate }) {
    return changed(state, key, draft => ({ ...draft, secrets: { ...draft.secrets, [path]: fate } }))
  },
  DRAFT_FILLED(state, { key, ...found }) {
    return changed(state, key, draft => filled(draft, found))
  },
  DRAFT_MORE_TOGGLED(state, { key, more }) {
    const draft = state.drafts[key]
    return draft && draft.more !== more ? { ...state, drafts: withKey(state.drafts, key, { ...draft, more }) } : state
  },
  DRAFT_DISCARDED(state, { key }) {
    const config = configOf(state, key)
    return { ...state, drafts: withKey(state.drafts, key, config || key === NEW ? draftOf(config ?? null) : undefined) }
  },
  /** The profile that was saved takes the draft's place; a new one gets its name there. */
  DRAFT_SAVED(state, { key, config, sent }) {
    const draft = state.drafts[key]
    const same = !draft || !sent || (draft.ssh === sent.ssh && draft.llm === sent.llm && draft.hops === sent.hops && draft.models === sent.models && draft.name === sent.name)
    // What was typed while it was being saved is a change of what is saved now.
    const next = same ? { ...draftOf(config), more: draft?.more ?? false } : { ...draft, configId: config.configId, base: config, outdated: false }
    const drafts = withKey(key === NEW ? withKey(state.drafts, NEW) : state.drafts, config.configId, next)
    const tests = key === NEW && state.tests[NEW] ? withKey(withKey(state.tests, NEW), config.configId, state.tests[NEW]) : state.tests
    return { ...state, drafts, tests, selected: state.selected === key ? config.configId : state.selected }
  },

  /** The daemon has found something wrong with a field: it is told there, until something is changed. */
  DRAFT_REFUSED(state, { key, error }) {
    const draft = state.drafts[key]
    const place = draft && placeOfField(draft, error.data?.field)
    return place ? { ...state, drafts: withKey(state.drafts, key, { ...draft, refused: { [place]: error.message }, more: draft.more || !IN_SIGHT.test(place) }) } : state
  },
  /** Something is to be done with it: what is wrong is shown, also what nobody has touched. */
  DRAFT_CHECKED(state, { key, places }) {
    const draft = state.drafts[key]
    return draft ? { ...state, drafts: withKey(state.drafts, key, { ...draft, checked: true, more: draft.more || places.some(place => !IN_SIGHT.test(place)) }) } : state
  },

  MODEL_ADDED: (state, { key }) => changed(state, key, withModel),
  MODEL_REMOVED: (state, { key, model }) => changed(state, key, draft => ({ ...draft, models: draft.models.filter(({ id }) => id !== model) })),

  HOP_ADDED: (state, { key }) => changed(state, key, draft => withHop(draft)),
  HOP_REMOVED: (state, { key, hop }) => changed(state, key, draft => ({ ...draft, hops: draft.hops.filter(({ id }) => id !== hop) })),
  HOP_MOVED(state, { key, hop, by }) {
    return changed(state, key, draft => {
      const from = draft.hops.findIndex(({ id }) => id === hop)
      const to = from + by
      if (from < 0 || to < 0 || to >= draft.hops.length) return draft
      const hops = [...draft.hops]
      hops.splice(to, 0, ...hops.splice(from, 1))
      return { ...draft, hops }
    })
  },

  BUSY(state, { key, action }) {
    return { ...state, busy: withKey(state.busy, key, action) }
  },
  IDLE(state, { key }) {
    return { ...state, busy: withKey(state.busy, key) }
  },
  /** A sentence for the live region. */
  NOTICE(state, { notice }) {
    return { ...state, notice }
  }
}

function changed(state, key, change) {
  const draft = state.drafts[key]
  if (!draft) return state
  const next = change(draft)
  return next === draft ? state : { ...state, drafts: withKey(state.drafts, key, { ...next, dirty: true, refused: undefined }) }
}
