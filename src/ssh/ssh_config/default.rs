//! What OpenSSH does without any file: version 9.2's values, for where there is no
//! `ssh` to ask. Only what differs from "nothing" is here.

use super::dump;
use super::value::Values;

const OPENSSH_9_2: &str = "\
addkeystoagent false
addressfamily any
batchmode no
canonicaldomains none
canonicalizefallbacklocal yes
canonicalizehostname false
canonicalizemaxdots 1
canonicalizepermittedcnames none
checkhostip no
ciphers chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com
clearallforwardings no
compression no
connectionattempts 1
connecttimeout none
controlmaster false
controlpersist no
enableescapecommandline no
enablesshkeysign no
escapechar ~
exitonforwardfailure no
fingerprinthash SHA256
forkafterauthentication no
forwardagent no
forwardx11 no
forwardx11timeout 1200
gatewayports no
globalknownhostsfile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2
gssapiauthentication no
gssapidelegatecredentials no
gssapikeyexchange no
gssapirenewalforcesrekey no
gssapitrustdns no
hashknownhosts no
hostbasedauthentication no
hostkeyalgorithms ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ssh-ed25519-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256
identitiesonly no
identityfile ~/.ssh/id_rsa
identityfile ~/.ssh/id_ecdsa
identityfile ~/.ssh/id_ecdsa_sk
identityfile ~/.ssh/id_ed25519
identityfile ~/.ssh/id_ed25519_sk
identityfile ~/.ssh/id_xmss
identityfile ~/.ssh/id_dsa
ipqos lowdelay throughput
kbdinteractiveauthentication yes
kexalgorithms sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group14-sha256
loglevel INFO
logverbose none
macs umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-64@openssh.com,umac-128@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1
nohostauthenticationforlocalhost no
numberofpasswordprompts 3
passwordauthentication yes
permitlocalcommand no
permitremoteopen any
proxyusefdpass no
pubkeyacceptedalgorithms ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ssh-ed25519-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256
pubkeyauthentication true
requesttty auto
requiredrsasize 1024
securitykeyprovider internal
serveralivecountmax 3
serveraliveinterval 0
sessiontype default
stdinnull no
streamlocalbindmask 0177
streamlocalbindunlink no
stricthostkeychecking ask
syslogfacility USER
tcpkeepalive yes
tunnel false
tunneldevice any:any
updatehostkeys true
userknownhostsfile ~/.ssh/known_hosts ~/.ssh/known_hosts2
verifyhostkeydns false
visualhostkey no
";

/// Whether OpenSSH offers an algorithm by itself, so that nobody has to have asked for it.
pub(in crate::ssh) fn is_usual_algorithm(name: &str) -> bool {
    OPENSSH_9_2
        .lines()
        .filter_map(|line| line.split_once(' '))
        .flat_map(|(_, list)| list.split(','))
        .any(|usual| usual == name)
}

pub(super) fn compiled() -> Values {
    dump::values(OPENSSH_9_2)
}
