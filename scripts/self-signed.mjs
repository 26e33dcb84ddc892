// A certificate that signs itself, made when it is needed: as much of DER and X.509 as that takes.
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

const ecdsaWithSha256 = sequence(der(0x06, Buffer.from('2a8648ce3d040302', 'hex')))
const commonName = der(0x06, Buffer.from('550403', 'hex'))

/**
 * A certificate for `localhost` that nobody has reason to trust, and its key.
 * @returns {{ key: string, cert: string }}
 */
export function selfSigned() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(der(0x31, sequence(commonName, der(0x0c, Buffer.from('localhost')))))
  const times = [-1, 1].map((days) => new Date(Date.now() + days * 86_400_000))
  const validity = sequence(...times.map((time) => der(0x17, Buffer.from(utcTime(time)))))
  const version = der(0xa0, der(0x02, Buffer.from([2])))
  // Firefox takes no second certificate of one issuer with the same number.
  const serial = der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)]))
  const key = publicKey.export({ type: 'spki', format: 'der' })
  const certificate = sequence(version, serial, ecdsaWithSha256, name, validity, name, key)
  const signature = Buffer.concat([Buffer.from([0]), sign('sha256', certificate, privateKey)])
  const signed = sequence(certificate, ecdsaWithSha256, der(0x03, signature))
  const cert = `-----BEGIN CERTIFICATE-----\n${signed.toString('base64')}\n-----END CERTIFICATE-----\n`
  return { key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), cert }
}

/** @param {Buffer[]} parts */
function sequence(...parts) {
  return der(0x30, Buffer.concat(parts))
}

/**
 * @param {number} tag
 * @param {Buffer} content
 */
function der(tag, content) {
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

/** @param {Date} time */
function utcTime(time) {
  return `${time.toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`
}
