-- An embedding as numbers: FLOAT[] of float16 values that are stored as bytes, little-endian (IEEE 754, binary16).
--
--   SELECT image_id, list_cosine_similarity(lake.unpack_float16(embedding_clip), lake.unpack_float16(...)) ...
--
-- Some thousand embeddings a second; to compare millions, read the bytes with numpy: np.frombuffer(stored, '<f2').
CREATE OR REPLACE MACRO unpack_float16(stored) AS list_transform(
    list_transform(regexp_extract_all(hex(stored), '....'), lambda h: ('0x' || h[3:4] || h[1:2])::INTEGER),
    lambda n: (
        if(n >= 32768, -1, 1) * CASE (n // 1024) % 32
            WHEN 0 THEN (n % 1024) * pow(2, -24)
            WHEN 31 THEN if(n % 1024 = 0, 'inf'::DOUBLE, 'nan'::DOUBLE)
            ELSE (1024 + n % 1024) * pow(2, (n // 1024) % 32 - 25)
        END
    )::FLOAT
)
