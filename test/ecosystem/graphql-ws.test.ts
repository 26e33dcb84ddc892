import { createRequire } from 'node:module'
import { type Client, createClient } from 'graphql-ws'
import { useServer } from 'graphql-ws/use/ws'
import { expect } from 'vitest'
import { numbers, onEachTransport } from './setting.ts'

// The same instance that graphql-ws gets from Node: vite would take another of its files.
const { GraphQLInt, GraphQLNonNull, GraphQLObjectType, GraphQLSchema, GraphQLString } = createRequire(
  import.meta.url,
)('graphql') as typeof import('graphql')

const count = 300

const schema = new GraphQLSchema({
  query: new GraphQLObjectType({
    name: 'Query',
    fields: {
      echo: {
        type: GraphQLString,
        args: { text: { type: new GraphQLNonNull(GraphQLString) } },
        resolve: (_root, { text }: { text: string }) => text,
      },
    },
  }),
  subscription: new GraphQLObjectType({
    name: 'Subscription',
    fields: {
      count: {
        type: GraphQLInt,
        args: { to: { type: new GraphQLNonNull(GraphQLInt) } },
        async *subscribe(_root, { to }: { to: number }) {
          for (const count of numbers(to)) {
            yield { count }
            if (count % 10 === 9) await new Promise(setImmediate)
          }
        },
      },
    },
  }),
})

async function countOn(client: Client, come: () => void): Promise<unknown[]> {
  const all = []
  for await (const { data } of client.iterate({ query: `subscription { count(to: ${count}) }` })) {
    all.push(data?.count)
    come()
  }
  return all
}

onEachTransport('graphql-ws', async (setting) => {
  let lets = true
  useServer({ schema, onConnect: () => lets }, setting.serve())
  const options = { url: setting.url, webSocketImpl: setting.WebSocket, retryAttempts: 0 }
  const events: string[] = []
  const client = createClient({
    ...options,
    on: {
      connecting: () => events.push('connecting'),
      connected: () => events.push('connected'),
      closed: (event) => events.push(`closed ${(event as CloseEvent).code}`),
    },
  })
  const ask = async (i: number): Promise<void> => {
    const text = `query ${i} `.padEnd(i === 50 ? 1_000_000 : 0, '.')
    for await (const { data } of client.iterate({
      query: 'query ($text: String!) { echo(text: $text) }',
      variables: { text },
    }))
      expect(data).toEqual({ echo: text })
  }
  let counted = 0
  const counting = countOn(client, () => {
    if (++counted === 5) setting.disturb()
  })
  await setting.steps(100, ask).all
  expect(await counting).toEqual(numbers(count))
  await client.dispose()
  await setting.finished(1000)
  expect(events).toEqual(['connecting', 'connected', 'closed 1000'])

  lets = false
  const refused = createClient(options).iterate({ query: '{ echo(text: "hi") }' })
  await expect(refused.next()).rejects.toMatchObject({ code: 4403, reason: 'Forbidden' })
})
