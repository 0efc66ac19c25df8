/** What a profile that came with the project would do on this computer, in a person's words: the dangerous first. */

import { routeOf } from './state.js'

const ASKED = [['passwordSource', 'the password'], ['passphraseSource', 'the passphrase of the key']]

/** @returns {Array<[string, string]>} a fact, and the profile's own words for it */
export function factsOf(config) {
  const { ssh, llm } = config
  const programs = []
  const others = []
  const machine = hop => {
    if (hop.proxyCommand) programs.push([`run a program on this computer to reach ${hop.host}:`, hop.proxyCommand])
    for (const [field, what] of ASKED) {
      const command = hop[field]?.command
      if (command) programs.push([`run a program on this computer for ${what} of ${hop.host}:`, command.map(quoted).join(' ')])
    }
    if (hop.transport === 'system') programs.push([`let this computer’s ssh program, with its own settings, reach ${hop.host}:`, 'transport: system'])
    if (hop.identityAgent) others.push(['use the SSH agent at', hop.identityAgent])
    if (hop.certificatePath) others.push([`show ${hop.host} the certificate`, hop.certificatePath])
    if (hop.privateKeyPath) others.push([`sign in to ${hop.host} with the key`, hop.privateKeyPath])
    if (hop.hostKeyPolicy === 'accept-new') others.push([`accept an unknown host key of ${hop.host} without asking:`, 'accept-new'])
    if (hop.username) others.push([`sign in to ${hop.host} as`, hop.username])
    for (const inner of hop.jumpHosts ?? []) machine(inner)
  }
  machine(ssh)
  others.push(['send prompts along', routeOf(config).join(' → ')])
  for (const [name, value] of Object.entries(llm.headers ?? {})) others.push(['send the header', `${name}: ${value}`])
  if (llm.hostHeader) others.push(['call the LLM server by the name', llm.hostHeader])
  if (llm.tls?.caPath) others.push(['trust certificates of', llm.tls.caPath])
  if (llm.tls?.serverName) others.push(['take the certificate of another name:', llm.tls.serverName])
  return [...programs, ...others]
}

/** A command's words, so that one with a blank in it is not taken for two. */
const quoted = word => (/^[\w@%+=:,./~-]+$/.test(word) ? word : JSON.stringify(word))
