"""The bundled model: a VAE, an MMDiT, rectified flow, and a trainer that eats the lake's shards."""
