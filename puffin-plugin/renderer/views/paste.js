/** The top line: what a person would type after ssh, or one of the hosts that ssh knows, or a preset. */

import { button, h, setHidden, uniqueId } from './dom.js'

export function createPaste(actions, keyOf) {
  const id = uniqueId('paste')
  const hostsId = uniqueId('hosts')
  const presetId = uniqueId('preset')
  const hosts = h('datalist', { id: hostsId })
  const control = h('input', {
    id, type: 'text', class: 'rllm-input', list: hostsId, spellcheck: 'false', autocomplete: 'off', placeholder: 'ssh -J bastion ai@gpu1 -L 11434:localhost:11434',
    on: {
      // The text is in the field after the event.
      paste: () => setTimeout(fill),
      keydown: event => {
        if (event.key !== 'Enter') return
        event.preventDefault()
        fill()
      }
    }
  })
  const preset = h('select', { id: presetId, class: 'rllm-input', on: { change: () => actions.usePreset(keyOf(), preset.value) } })
  const presets = h('div', { class: 'rllm-field' }, h('label', { for: presetId, class: 'rllm-label' }, 'LLM server'), preset)
  const element = h('div', { class: 'rllm-paste' },
    h('div', { class: 'rllm-field rllm-field--wide' },
      h('label', { for: id, class: 'rllm-label' }, 'Paste an ssh command, a host alias or a URL'),
      h('div', { class: 'rllm-control' }, control, button('Fill the form', fill, { small: true }))),
    presets)
  let drawn = {}
  let shownFor = null

  function fill() {
    actions.paste(keyOf(), control.value)
  }

  return {
    element,
    control,
    update({ found, presets: known }, draft) {
      if (shownFor !== keyOf()) control.value = ''
      shownFor = keyOf()
      if (drawn.hosts !== found.sshHosts) {
        hosts.replaceChildren(...found.sshHosts.map(host => h('option', { value: host.alias, label: describe(host) })))
      }
      if (drawn.presets !== known) {
        preset.replaceChildren(h('option', { value: '' }, 'choose to fill its address'), ...known.map(({ id: value, name }) => h('option', { value }, name)))
      }
      drawn = { hosts: found.sshHosts, presets: known }
      setHidden(presets, known.length === 0)
      const chosen = known.find(({ llm }) => llm.apiEndpoint === draft.llm.apiEndpoint)?.id ?? ''
      if (preset.value !== chosen) preset.value = chosen
    }
  }
}

function describe({ alias, ssh, hops, problem }) {
  if (problem) return problem
  const machine = [ssh?.username, ssh?.host].filter(Boolean).join('@')
  const through = hops.length > 0 ? ` through ${hops.join(', ')}` : ''
  return machine && machine !== alias ? `${machine}${through}` : through.trim()
}
