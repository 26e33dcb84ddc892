/**
 * The form of what nodes say to each other through the store when they relay connections. Bytes: 1, the kind (1), the connection (8),
 * the number (6), the length of the sender's name (1), the name, the payload, the proof (16). Numbers are big-endian. A question of
 * `questions.ts` begins with `{`.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'

/**
 * `open`: a connection begins, with its first bytes. `taken`: the other node has it. `data`: bytes. `read`: so many bytes were read.
 * `end`: no more bytes come in this direction. `reset`: the connection is gone. `got`: everything up to this number has come.
 */
const kinds = ['open', 'taken', 'data', 'read', 'end', 'reset', 'got'] as const
export type FrameKind = (typeof kinds)[number]

export interface Frame {
  readonly kind: FrameKind
  readonly from: string
  /** The connection, as 16 hexadecimal digits. */
  readonly id: string
  /** The number of the frame among all that this node sends to the other one. */
  readonly seq: number
  readonly payload: Buffer
}

const mark = 1
const nameAt = 17
const proofLength = 16

export function isFrame(data: Uint8Array): boolean {
  return data[0] === mark
}

/** `secret`: proves that a node of the cluster wrote it. `to`: for which node. */
export function writeFrame(secret: string, to: string, { kind, from, id, seq, payload }: Frame): Buffer {
  const name = Buffer.from(from)
  const bytes = Buffer.allocUnsafe(nameAt + name.length + payload.length + proofLength)
  bytes[0] = mark
  bytes[1] = kinds.indexOf(kind)
  bytes.write(id, 2, 8, 'hex')
  bytes.writeUIntBE(seq, 10, 6)
  bytes[16] = name.length
  bytes.set(name, nameAt)
  bytes.set(payload, nameAt + name.length)
  const end = bytes.length - proofLength
  bytes.set(proofOf(secret, to, bytes.subarray(0, end)), end)
  return bytes
}

/** Undefined: no node of this cluster has written it for this node. */
export function readFrame(secret: string, self: string, data: Uint8Array): Frame | undefined {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  const body = nameAt + (bytes[16] ?? 0)
  const end = bytes.length - proofLength
  const kind = kinds[bytes[1] as number]
  if (bytes[0] !== mark || !kind || end < body) return undefined
  if (!timingSafeEqual(bytes.subarray(end), proofOf(secret, self, bytes.subarray(0, end)))) return undefined
  return {
    kind,
    from: bytes.toString('utf8', nameAt, body),
    id: bytes.toString('hex', 2, 10),
    seq: bytes.readUIntBE(10, 6),
    payload: bytes.subarray(body, end),
  }
}

function proofOf(secret: string, to: string, said: Buffer): Buffer {
  return createHmac('sha256', secret).update(`relay\n${to}\n`).update(said).digest().subarray(0, proofLength)
}
