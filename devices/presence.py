def seen(seen_at, accepted, refused):
    return []
