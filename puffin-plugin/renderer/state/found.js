/** What was found on this machine, put beside what the draft says and what the last test used. */

/**
 * @param {object} found ssh_config's hosts, the agent's keys, key files
 * @param {object} draft
 * @param {object} [test]
 * @returns {Array<{name: string, text: string, state: 'absent'|'found'|'used'|'trouble', detail: string[]}>}
 */
export function usedBy(found, draft, test) {
  const method = test?.result?.authMethod ?? ''
  return [sshConfig(found, draft), agent(found, method), keyFiles(found, method), knownHost(test)]
}

function sshConfig({ sshHosts, warnings }, draft) {
  const entry = sshHosts.find(({ alias }) => alias === draft.ssh.host.trim())
  const detail = entry
    ? [describe(entry), ...(entry.problem ? [entry.problem] : []), ...(entry.warnings ?? [])]
    : [sshHosts.length === 0 ? 'No host is named in ~/.ssh/config.' : `~/.ssh/config names ${sshHosts.length} hosts; this is none of them.`]
  const state = entry?.problem ? 'trouble' : entry ? 'found' : 'absent'
  return { name: 'ssh_config', text: 'ssh_config', state, detail: [...detail, ...warnings] }
}

function describe({ alias, ssh, hops }) {
  const machine = `${[ssh?.username, ssh?.host].filter(Boolean).join('@')}${ssh?.port ? `:${ssh.port}` : ''}`
  return `${alias} is ${machine || 'in it'}${hops?.length ? `, through ${hops.join(', ')}` : ''}.`
}

function agent({ agent: seen }, method) {
  const keys = seen?.keys ?? []
  const text = keys.length === 1 ? 'agent (1 key)' : `agent (${keys.length} keys)`
  if (!seen) return { name: 'agent', text: 'agent', state: 'absent', detail: ['Whether an SSH agent runs is not known.'] }
  if (seen.problem) return { name: 'agent', text: 'agent', state: 'trouble', detail: [seen.problem] }
  const detail = keys.length > 0 ? keys.map(key => [key.type, key.fingerprint, key.comment].filter(Boolean).join(' ')) : ['The agent holds no key.']
  return { name: 'agent', text, state: method.includes('agent') ? 'used' : keys.length > 0 ? 'found' : 'absent', detail }
}

function keyFiles({ keyFiles: files }, method) {
  const detail = files.map(file => [file.path, file.type, file.encrypted ? 'with a passphrase' : '', file.problem].filter(Boolean).join(', '))
  const used = method.startsWith('publickey') && !method.includes('agent')
  return {
    name: 'key files',
    // One that is used may lie elsewhere.
    text: used && files.length === 0 ? 'key file' : `key files (${files.length})`,
    state: used ? 'used' : files.length > 0 ? 'found' : 'absent',
    detail: [...(used ? [`The last test signed in by ${method}.`] : []), ...(detail.length > 0 ? detail : ['No key in ~/.ssh.'])]
  }
}

function knownHost(test) {
  const key = test?.result?.hostKey
  const detail = key ? [`${key.type} ${key.fingerprint}`] : ['A test shows the machine’s host key.']
  return { name: 'known host', text: 'known host', state: key ? 'used' : 'absent', detail }
}
