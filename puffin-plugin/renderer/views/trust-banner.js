/** A profile that came with the project: what it would do, before a person says yes. */

import { routeOf } from '../state/state.js'
import { visible } from '../state/format.js'
import { button, h, setHidden } from './dom.js'

export function createTrustBanner(actions) {
  const title = h('h3', { class: 'rllm-banner-title' }, 'This server came with the project')
  const body = h('div')
  const element = h('section', { class: 'rllm-banner', 'aria-label': 'Trust', hidden: true }, title, body)
  let drawn = null

  return {
    element,
    update(state, config) {
      const untrusted = config?.trust?.state === 'untrusted'
      setHidden(element, !untrusted)
      if (!untrusted || drawn === config) return
      drawn = config
      const { digest } = config.trust
      body.replaceChildren(
        h('p', {}, 'Nothing is connected to and no saved secret is used until you trust it on this computer. It would:'),
        h('ul', { class: 'rllm-facts' }, factsOf(config).map(([fact, value]) => h('li', {}, `${fact} `, h('code', {}, visible(value))))),
        h('p', { class: 'rllm-hint' }, 'Digest of all that it says: ', h('code', { class: 'rllm-digest' }, digest ?? 'none')),
        h('div', { class: 'rllm-actions' },
          button('Trust this server', () => actions.trust(config.configId, digest), { kind: 'primary', disabled: !digest }))
      )
    }
  }
}

/** @returns {Array<[string, string]>} what a profile does, the dangerous first */
export function factsOf(config) {
  const { ssh, llm, trust } = config
  const facts = (trust.reasons ?? []).map(reason => ['Because:', typeof reason === 'string' ? reason : reason.message])
  const machine = (hop, role) => {
    if (hop.proxyCommand) facts.push([`run a program on this computer to reach ${role}:`, hop.proxyCommand])
    if (hop.identityAgent) facts.push(['use the SSH agent at', hop.identityAgent])
    if (hop.certificatePath) facts.push([`show ${role} the certificate`, hop.certificatePath])
    if (hop.privateKeyPath) facts.push([`sign in to ${role} with the key`, hop.privateKeyPath])
    if (hop.hostKeyPolicy === 'accept-new') facts.push([`accept an unknown host key of ${role} without asking:`, 'accept-new'])
  }
  machine(ssh, ssh.host)
  for (const hop of ssh.jumpHosts ?? []) machine(hop, hop.host)
  facts.push(['send prompts along', routeOf(config).join(' → ')])
  if (ssh.username) facts.push(['sign in as', ssh.username])
  for (const [name, value] of Object.entries(llm.headers ?? {})) facts.push(['send the header', `${name}: ${value}`])
  if (llm.hostHeader) facts.push(['call the LLM server by the name', llm.hostHeader])
  if (llm.tls?.caPath) facts.push(['trust certificates of', llm.tls.caPath])
  return facts
}
