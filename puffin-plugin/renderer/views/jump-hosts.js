/** The machines on the way, in order, each with its own way to sign in. */

import { HOP_FIELDS, usedWith } from '../state/fields.js'
import { button, createKeyedList, h, setAttribute, setHidden, setText } from './dom.js'
import { createField, createSecretField } from './field.js'

/** @param {() => string} keyOf the draft on show @param {Object<string, string>} lists ids of datalists */
export function createJumpHosts(actions, secrets, keyOf, lists) {
  const rows = h('ol', { class: 'rllm-hops' })
  const empty = h('p', { class: 'rllm-hint' }, 'None, or those of ~/.ssh/config. The first one is reached from this computer.')
  const add = button('Add a jump host', () => {
    actions.addHop(keyOf())
    focusNext = 'last'
  }, { small: true })
  const element = h('fieldset', { class: 'options-fieldset rllm-fieldset' }, h('legend', {}, 'Jump hosts'), empty, rows, add)
  let focusNext = null
  const keyed = createKeyedList(rows, item => item.hop.id, ({ hop }) => createHop(hop.id))

  function createHop(id) {
    const fields = HOP_FIELDS.map(field => {
      if (field.kind === 'secret') {
        const path = `${id}.${field.path}`
        return { field, ...createSecretField(field, { onText: text => actions.changeSecret(keyOf(), path, text), onFate: fate => actions.decideSecret(keyOf(), path, fate) }) }
      }
      return { field, ...createField(field, value => actions.changeField(keyOf(), id, field.path, value), { listId: lists[field.suggestions] }) }
    })
    const title = h('h4', { class: 'rllm-hop-title' })
    const up = button('Up', () => move(-1), { small: true })
    const down = button('Down', () => move(1), { small: true })
    const remove = button('Remove', () => {
      actions.removeHop(keyOf(), id)
      add.focus()
    }, { small: true })
    const move = by => {
      actions.moveHop(keyOf(), id, by)
      focusNext = { id, by }
    }
    const row = h('li', { class: 'rllm-hop' },
      h('div', { class: 'rllm-hop-head' }, title, h('div', { class: 'rllm-actions' }, up, down, remove)),
      h('div', { class: 'rllm-grid' }, fields.map(view => view.element)))

    return {
      element: row,
      update({ hop, draft, problems, key, last }, index) {
        const name = hop.values.host.trim() || `jump host ${index + 1}`
        setText(title, `${index + 1}. ${name}`)
        for (const [control, verb] of [[up, 'Move up'], [down, 'Move down'], [remove, 'Remove']]) setAttribute(control, 'aria-label', `${verb}: ${name}`)
        setAttribute(up, 'disabled', index === 0)
        setAttribute(down, 'disabled', last)
        for (const { field, update } of fields) {
          const path = `${id}.${field.path}`
          const hidden = !usedWith(field, hop.values)
          if (field.kind === 'secret') update({ fate: draft.secrets[path], saved: Boolean(hop.base?.[field.flag]), typed: secrets.get(key, path) ?? '', hidden })
          else update({ value: hop.values[field.path], problem: problems[path], hidden })
        }
        if (focusNext === 'last' && last) {
          focusNext = null
          fields[0].control.focus()
        } else if (focusNext?.id === id) {
          const wanted = focusNext.by < 0 ? up : down
          focusNext = null
          ;(wanted.disabled ? (wanted === up ? down : up) : wanted).focus()
        }
      }
    }
  }

  return {
    element,
    update(draft, problems) {
      setHidden(empty, draft.hops.length > 0)
      setHidden(rows, draft.hops.length === 0)
      keyed.update(draft.hops.map((hop, index) => ({ hop, draft, problems, key: keyOf(), last: index === draft.hops.length - 1 })))
    }
  }
}
